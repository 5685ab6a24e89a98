"""Telling whoever waits for the end of a run that it may have come."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, NamedTuple

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager.protocol.run_directory import NOT_BEGUN

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
    """Who waits for the ends of which runs.

    Supervisors tell of their ends. Those that were killed do not, nor is anything heard while the
    connection is broken: so from time to time one question is asked for all runs together.

    :param session: how one gets at the machine.
    :param ask: gives those of some run directories of which the run may have ended.
    """

    interval = 1.0
    """Seconds from one question to the next."""

    def __init__(
        self, session: RemoteSession, ask: Callable[[Iterable[str]], Awaitable[Iterable[str]]]
    ) -> None:
        self._session = session
        self._ask = ask
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        self._events: dict[str, _End] = {}
        self._undelivered: set[str] = set()
        """Those of which nobody who waits has been told since."""
        self._poll_task: asyncio.Task[None] | None = None

    @property
    def waits(self) -> bool:
        """Whether somebody waits for the end of any run."""
        return bool(self._waiting)

    def expect(self, directory: str) -> None:
        """Forget what was heard of a run of that name, since another one begins.

        :param directory: the run directory.
        """
        self._events.pop(directory, None)
        self._undelivered.discard(directory)

    def add(self, directory: str, ended: Callable[[], None]) -> Callable[[], None]:
        """Call a function, once, when a run may have ended.

        :param directory: the run directory.
        :param ended: what to call.
        :return: a function that stops it.
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
        """Take what a supervisor tells at its end.

        :param line: its exit status, how long the machine had been up, and the run directory.
        :param up_since: since when it is up, in seconds since the epoch, if that is known.
        """
        status, _, rest = line.partition(" ")
        uptime, directory = "", rest
        if not rest.startswith("/"):  # else a release before this one has launched it
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
        """Tell whether a run that has ended had begun; None if its supervisor has told nothing.

        :param directory: the run directory.
        """
        end = self._events.get(directory)
        return None if end is None else end.began

    def ended(self, directory: str) -> float | None:
        """Tell when a run ended, in seconds since the epoch, as the machine's clock has it.

        :param directory: the run directory.
        :return: None if its supervisor has told nothing.
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
                    log.error("nothing is known of the jobs of %s: %s", self._session.host, e)
            else:
                if last_error is not None:
                    last_error = None
                    log.warning("the jobs of %s are looked after again", self._session.host)
