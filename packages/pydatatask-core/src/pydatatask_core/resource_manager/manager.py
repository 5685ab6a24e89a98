"""The quota that tasks share."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from .ledger import Ledger
from .reservation import Reservation
from .resources import Resources

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from .resources import ResourceType

__all__ = ["ResourceManager"]

logger = logging.getLogger("pydatatask.resource_manager")


class ResourceManager:
    """The ``ResourceManager`` tracks quotas of resources.

    Direct use of this class beyond construction will only be necessary if you are writing a
    custom Task class. If such a task follows three rules, no launch exceeds the quota, and none is
    counted twice or never released:

    - It registers a callback that reports the usage of its live jobs.
    - It launches inside ``async with manager.reservation(...)``, and leaves the block when the
      callback can see the job.
    - It relinquishes the resources when the callback can no longer see the job.

    The callbacks are asked for usage before the first reservation and after ``flush()``, while no
    reservation is open; changes are counted in memory from then on. A manager may be used by one
    event loop at a time, and not from other threads.

    :param quota: the resource limit that should be applied to the sum of all tasks using this
        manager.
    :param clock: returns monotonic time in seconds.
    """

    def __init__(self, quota: Resources, *, clock: Callable[[], float] = time.monotonic) -> None:
        if not isinstance(quota, Resources):
            raise TypeError(f"the quota of a ResourceManager must be Resources, not {quota!r}")
        self._ledger = Ledger(quota, clock)
        self._clock = clock
        self._callbacks: list[tuple[Callable[[], Awaitable[Resources]], timedelta | None]] = []
        self._listeners: list[Callable[[], object]] = []
        self._open: set[Reservation] = set()
        self._all_closed: asyncio.Event | None = None
        self._fill_lock: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        # Two counts, so that changes while the callbacks run are not lost.
        self._wanted_generation = 1
        self._filled_generation = 0

    @property
    def quota(self) -> Resources:
        """The limit."""
        return self._ledger.quota

    def fits(self, request: Resources) -> bool:
        """Return True if the request could be granted with nothing else in use."""
        return request.excess(self.quota) is None

    def register(
        self, func: Callable[[], Awaitable[Resources]], *, window: timedelta | None = None
    ) -> None:
        """Register an async callback which will be used to load the current resource utilization.

        The initial reported usage will be the sum of the results of all the registered callbacks.

        :param func: returns the resources in use. It must not reserve anything itself.
        :param window: if given, the reported launches are those within this last time span, and
            expire by themselves.
        """
        self._callbacks.append((func, window))
        self._wanted_generation += 1

    def add_listener(self, listener: Callable[[], object]) -> None:
        """Register a function that is called whenever resources are relinquished.

        Expiring launches are not announced; use ``next_release()`` for these.

        :param listener: the function; it should be quick, and its exceptions are logged.
        """
        self._listeners.append(listener)

    def remove_listener(self, listener: Callable[[], object]) -> None:
        """Unregister a listener; no-op if it is not registered."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def fill(self) -> None:
        """Collect usage from the callbacks, unless it is known.

        :raises RuntimeError: if usage has to be collected while this asyncio task has a
            reservation open.
        """
        while self._filled_generation != self._wanted_generation:
            async with self._lock():
                if self._filled_generation != self._wanted_generation:
                    await self._wait_reservations_closed()
                    generation = self._wanted_generation
                    self._ledger.fill(await self._collect_usage())
                    self._filled_generation = generation

    async def flush(self) -> None:
        """Discard the cached amount of resources currently being used.

        Waits for open reservations, and delays new ones meanwhile. The next reservation collects
        usage again.

        :raises RuntimeError: if this asyncio task has a reservation open.
        """
        self._wanted_generation += 1
        await self._wait_reservations_closed()

    async def reserve(
        self, request: Resources, *, window: timedelta | None = None
    ) -> ResourceType | None:
        """Reserve the given amount of resources, atomically, and return None.

        If any resource would be over quota, do nothing and return the limiting resource type.
        Prefer ``reservation()`` around a launch: ``flush()`` cannot wait for resources that are
        reserved here.

        :param request: the amount.
        :param window: if given, the launches count for this time span and then expire; relinquish
            only CPU and memory.
        """
        if self._filled_generation != self._wanted_generation:
            await self.fill()
        refused = self._ledger.reserve(request)
        if refused is None and window is not None:
            self._ledger.expire_at(request, self._clock() + window.total_seconds())
        return refused

    def reservation(self, request: Resources, *, window: timedelta | None = None) -> Reservation:
        """Return an async context manager that holds resources while a job is launched.

        ::

            async with manager.reservation(job_resources, window=window) as refused:
                if refused is not None:
                    return refused
                await launch_and_record()

        A block that raises releases everything, so it must not raise if the job may be running. A
        block that ends normally has made the job visible to the registered callback. Inside the
        block, the same manager must not be asked for another reservation or flushed.

        :param request: the amount.
        :param window: as in ``reserve``.
        """
        return Reservation(self, request, window)

    async def relinquish(self, request: Resources) -> None:
        """Mark the given amount of resources as available, atomically.

        Call this when the registered callback can no longer see the job. If usage is not known at
        that time, nothing needs to be corrected; if it is being collected, it is collected again.
        """
        if self._filled_generation == self._wanted_generation:
            self._ledger.release(request)
        else:
            self._wanted_generation += 1
        self._notify_listeners()

    def usage(self) -> Resources | None:
        """Return the resources in use, for display, or None while they are not known."""
        return self._ledger.usage() if self._filled_generation == self._wanted_generation else None

    def room(self, request: Resources) -> int | None:
        """Return how many more such reservations would be granted now.

        :param request: the amount of one reservation.
        :return: None if there is no limit or usage is not known.
        """
        return (
            self._ledger.room(request)
            if self._filled_generation == self._wanted_generation
            else None
        )

    def next_release(self) -> float | None:
        """Return the seconds until the next launches expire, or None if none will."""
        return self._ledger.next_release()

    def reservation_opened(self, reservation: Reservation) -> None:
        """Register an open reservation; called only by reservations."""
        reservation.opened_at = self._clock()
        self._open.add(reservation)

    def reservation_closed(self, reservation: Reservation, *, failed: bool) -> None:
        """Unregister a reservation; called only by reservations."""
        self._open.discard(reservation)
        if failed:
            self._ledger.release(reservation.request)
            self._notify_listeners()
        elif reservation.window is not None:
            due = reservation.opened_at + reservation.window.total_seconds()
            self._ledger.expire_at(reservation.request, due)
        if self._all_closed is not None and not self._open:
            self._all_closed.set()
            self._all_closed = None

    async def _wait_reservations_closed(self) -> None:
        """Wait until no reservation is open; new ones wait until usage is known again."""
        if not self._open:
            return
        task = asyncio.current_task()
        if any(reservation.owner_task is task for reservation in self._open):
            raise RuntimeError(
                "usage has to be collected again, which waits until no reservation is open, but "
                "this asyncio task has one open: leave its block first"
            )
        if self._all_closed is None:
            self._all_closed = asyncio.Event()
        await self._all_closed.wait()

    async def _collect_usage(self) -> list[tuple[Resources, timedelta | None]]:
        reports = []
        for func, window in tuple(self._callbacks):
            try:
                report = await func()
            except Exception as error:
                error.add_note(f"{func!r} was called to report the resources in use.")
                raise
            if not isinstance(report, Resources):
                raise TypeError(
                    f"{func!r} was called to report the resources in use and returned {report!r}, "
                    "which is not a Resources object"
                )
            reports.append((report, window))
        return reports

    def _lock(self) -> asyncio.Lock:
        # A lock belongs to the loop that first waited for it, and a manager outlives loops.
        loop = asyncio.get_running_loop()
        if self._fill_lock is None or self._fill_lock[0] is not loop:
            self._fill_lock = (loop, asyncio.Lock())
        return self._fill_lock[1]

    def _notify_listeners(self) -> None:
        for listener in tuple(self._listeners):
            try:
                listener()
            except Exception:
                logger.exception("A listener of %r failed", self)

    def __repr__(self) -> str:
        return f"<ResourceManager of {self.quota}, in use: {self.usage() or 'not known yet'}>"
