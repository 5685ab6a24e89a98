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
    custom Task class. Such a task keeps three rules, and then no launch exceeds the quota and
    none is counted twice or for ever:

    - It registers a callback that reports what its live jobs take.
    - It launches inside ``async with manager.reservation(...)``, and leaves the block when the
      callback can see the job.
    - It relinquishes when the callback can no longer see the job.

    What is in use is asked of the callbacks before the first reservation and after ``flush()``,
    with no reservation open, and counted in memory from then on. One event loop at a time uses a
    manager; threads have no business with it.

    :param quota: the resource limit that should be applied to the sum of all tasks using this
        manager.
    :param clock: gives the time in seconds, and never goes back.
    """

    def __init__(self, quota: Resources, *, clock: Callable[[], float] = time.monotonic) -> None:
        if not isinstance(quota, Resources):
            raise TypeError(f"the quota of a ResourceManager has to be Resources, not {quota!r}")
        self._ledger = Ledger(quota, clock)
        self._clock = clock
        self._callbacks: list[tuple[Callable[[], Awaitable[Resources]], timedelta | None]] = []
        self._listeners: list[Callable[[], object]] = []
        self._open: set[Reservation] = set()
        self._all_closed: asyncio.Event | None = None
        self._fill_lock: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        # Two counts, so that what happens while the callbacks are asked is not lost.
        self._wanted_generation = 1
        self._filled_generation = 0

    @property
    def quota(self) -> Resources:
        """The limit."""
        return self._ledger.quota

    def fits(self, request: Resources) -> bool:
        """Tell whether a request could be granted if nothing else were in use."""
        return request.excess(self.quota) is None

    def register(
        self, func: Callable[[], Awaitable[Resources]], *, window: timedelta | None = None
    ) -> None:
        """Register an async callback which will be used to load the current resource utilization.

        The initial reported usage will be the sum of the results of all the registered callbacks.

        :param func: reports what is in use. It may not reserve anything itself.
        :param window: if given, the launches that it reports are those of this last time span,
            and leave the count by themselves.
        """
        self._callbacks.append((func, window))
        self._wanted_generation += 1

    def add_listener(self, listener: Callable[[], object]) -> None:
        """Register a function to call whenever something is given back, so has room been made.

        Launches whose window passes are not announced; ask ``next_release()`` for them.

        :param listener: what to call; it should be quick, and what it raises is logged.
        """
        self._listeners.append(listener)

    def remove_listener(self, listener: Callable[[], object]) -> None:
        """Call a function that was added no longer; harmless if it is not called anyway."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def fill(self) -> None:
        """Ask the callbacks what is in use, unless that is known.

        :raises RuntimeError: if it has to be asked, and this task has a reservation open.
        """
        while self._filled_generation != self._wanted_generation:
            async with self._lock():
                if self._filled_generation != self._wanted_generation:
                    await self._wait_reservations_closed()
                    generation = self._wanted_generation
                    self._ledger.fill(await self._collect_usage())
                    self._filled_generation = generation

    async def flush(self) -> None:
        """Forget the cached amount of resources currently being used.

        Waits for open reservations, and holds up new ones meanwhile. Next call to reserve will
        calculate usage anew.

        :raises RuntimeError: if this task has a reservation open.
        """
        self._wanted_generation += 1
        await self._wait_reservations_closed()

    async def reserve(
        self, request: Resources, *, window: timedelta | None = None
    ) -> ResourceType | None:
        """Reserve the given amount of resources, atomically, and return None.

        Or do nothing, and return the limiting resource type, if any resource would be over-quota.
        Prefer ``reservation()`` around a launch: ``flush()`` cannot wait for what is reserved
        here.

        :param request: how much.
        :param window: if given, the launches count for this time span and then leave by
            themselves; only CPU and memory are to be relinquished.
        """
        if self._filled_generation != self._wanted_generation:
            await self.fill()
        refused = self._ledger.reserve(request)
        if refused is None and window is not None:
            self._ledger.expire_at(request, self._clock() + window.total_seconds())
        return refused

    def reservation(self, request: Resources, *, window: timedelta | None = None) -> Reservation:
        """Hold resources while a job is launched: an async context manager.

        ::

            async with manager.reservation(job_resources, window=window) as refused:
                if refused is not None:
                    return refused
                await launch_and_record()

        A block that raises gives everything back, so it must not if the job may be alive. One
        that ends has made the job visible to the registered callback. Inside, the same manager is
        neither asked for more nor flushed.

        :param request: how much.
        :param window: as for ``reserve``.
        """
        return Reservation(self, request, window)

    async def relinquish(self, request: Resources) -> None:
        """Mark the given amount of resources as available, atomically.

        To be called when the registered callback can no longer see the job. If usage is not known
        at the time, it needs no correction; if it is being asked, it is asked again.
        """
        if self._filled_generation == self._wanted_generation:
            self._ledger.release(request)
        else:
            self._wanted_generation += 1
        self._notify_listeners()

    def usage(self) -> Resources | None:
        """Tell what is in use, for display; None while that is not known."""
        return self._ledger.usage() if self._filled_generation == self._wanted_generation else None

    def room(self, request: Resources) -> int | None:
        """Tell how many more reservations would be granted now.

        :param request: what each of them is for.
        :return: None where there is no limit, or if usage is not known.
        """
        return (
            self._ledger.room(request)
            if self._filled_generation == self._wanted_generation
            else None
        )

    def next_release(self) -> float | None:
        """Tell in how many seconds the window of a launch passes next; None if none counts."""
        return self._ledger.next_release()

    def reservation_opened(self, reservation: Reservation) -> None:
        """Note that a reservation is open; for reservations alone."""
        reservation.opened_at = self._clock()
        self._open.add(reservation)

    def reservation_closed(self, reservation: Reservation, *, failed: bool) -> None:
        """Note that a reservation has ended; for reservations alone."""
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
        """Wait until no reservation is open; new ones wait for usage to be known again."""
        if not self._open:
            return
        task = asyncio.current_task()
        if any(reservation.owner_task is task for reservation in self._open):
            raise RuntimeError(
                "usage has to be calculated anew, which waits until no reservation is open, and "
                "this task has one open: leave its block first"
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
                error.add_note(f"{func!r} was asked how many resources are in use.")
                raise
            if not isinstance(report, Resources):
                raise TypeError(
                    f"{func!r} was asked how many resources are in use and gave {report!r}, which "
                    "is no Resources"
                )
            reports.append((report, window))
        return reports

    def _lock(self) -> asyncio.Lock:
        # A lock belongs to the loop that waited for it first, and a manager outlives loops.
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
