"""Notification of watchers when a run may have ended."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, NamedTuple

from pydatatask_core.errors import ProcessManagerError

from .supervisor import NOT_BEGUN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from .session import RemoteSession

__all__ = ["ExitEvents"]

log = logging.getLogger("pydatatask.proc_manager")

_MAX_EVENTS = 10_000
_NUMBER = re.compile(r"\d+(\.\d+)?")


class _End(NamedTuple):
    began: bool
    time: float | None


class ExitEvents:
    """The watchers of runs, and the events that supervisors have reported.

    Supervisors report their exit, unless they are killed or the connection is down. So all watched
    runs are also polled regularly, in one request.

    :param session: the session with the machine.
    :param ask: returns those of some run directories whose run may have ended.
    """

    interval = 1.0
    """Seconds between two polls."""

    def __init__(
        self, session: RemoteSession, ask: Callable[[Iterable[str]], Awaitable[Iterable[str]]]
    ) -> None:
        self._session = session
        self._ask = ask
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        self._events: dict[str, _End] = {}
        self._undelivered: set[str] = set()
        """The runs whose events have not been delivered to a watcher."""
        self._poll_task: asyncio.Task[None] | None = None

    @property
    def waits(self) -> bool:
        """True if any run is watched."""
        return bool(self._waiting)

    def expect(self, directory: str) -> None:
        """Discard the event of an earlier run with the same directory, before a new one starts.

        :param directory: the run directory.
        """
        self._events.pop(directory, None)
        self._undelivered.discard(directory)

    def add(self, directory: str, ended: Callable[[], None]) -> Callable[[], None]:
        """Register a callback that is called once when a run may have ended.

        :param directory: the run directory.
        :param ended: the callback.
        :return: a function that unregisters it.
        """
        if directory in self._undelivered:
            self._undelivered.discard(directory)
            handle = asyncio.get_running_loop().call_soon(ended)
            return handle.cancel
        self._waiting.setdefault(directory, []).append(ended)
        if self._poll_task is None or self._poll_task.done():
            self._poll_task = asyncio.create_task(self._poll(), name="pydatatask ssh watch")

        def stop() -> None:
            waiting = self._waiting.get(directory, [])
            if ended in waiting:
                waiting.remove(ended)
            if not waiting:
                self._waiting.pop(directory, None)
            if not self._waiting and self._poll_task is not None:
                self._poll_task.cancel()
                self._poll_task = None

        return stop

    def on_event(self, line: str, up_since: float | None) -> None:
        """Process the line that a supervisor has written at its exit.

        :param line: its exit status, the uptime of the machine, and the run directory.
        :param up_since: the time of the boot in seconds since the epoch, if known.
        """
        status, _, rest = line.partition(" ")
        uptime, directory = "", rest
        if not rest.startswith("/"):  # otherwise an earlier release launched the supervisor
            uptime, _, directory = rest.partition(" ")
        time = None
        if up_since is not None and _NUMBER.fullmatch(uptime):
            time = up_since + float(uptime)
        self._events[directory] = _End(status != str(NOT_BEGUN), time)
        self._undelivered.add(directory)
        if len(self._events) > _MAX_EVENTS:
            oldest = next(iter(self._events))
            del self._events[oldest]
            self._undelivered.discard(oldest)
        self._call(directory)

    def began(self, directory: str) -> bool | None:
        """Return whether the script of a run had begun; None if its supervisor reported no exit.

        :param directory: the run directory.
        """
        end = self._events.get(directory)
        return None if end is None else end.began

    def ended(self, directory: str) -> float | None:
        """Return the end of a run by the machine's clock, in seconds since the epoch.

        :param directory: the run directory.
        :return: None if its supervisor reported no exit, or the time is unknown.
        """
        end = self._events.get(directory)
        return None if end is None else end.time

    def _call(self, directory: str) -> None:
        for ended in self._waiting.pop(directory, ()):
            ended()

    async def _poll(self) -> None:
        last_error = None
        while self._waiting:
            await asyncio.sleep(self.interval)
            try:
                for directory in await self._ask(list(self._waiting)):
                    self._call(directory)
            except ProcessManagerError as e:
                if str(e) != last_error:
                    last_error = str(e)
                    log.error("the state of the jobs on %s is unknown: %s", self._session.host, e)
            else:
                if last_error is not None:
                    last_error = None
                    log.warning("the jobs on %s are monitored again", self._session.host)
