"""Telling whoever waits for the end of a run that it may have come."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, NamedTuple

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager.supervisor import NOT_BEGUN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from .reach import Reach

__all__ = ["Watch"]

log = logging.getLogger("pydatatask.proc_manager")

_MANY = 10_000
_NUMBER = re.compile(r"\d+(\.\d+)?")


class _End(NamedTuple):
    began: bool
    time: float | None


class Watch:
    """Who waits for the ends of which runs.

    Supervisors tell of their ends. Those that were killed do not, nor is anything heard while the
    connection is broken: so from time to time one question is asked for all runs together.

    :param reach: how one gets at the machine.
    :param ask: gives those of some run directories of which the run may have ended.
    """

    interval = 1.0
    """Seconds from one question to the next."""

    def __init__(
        self, reach: Reach, ask: Callable[[Iterable[str]], Awaitable[Iterable[str]]]
    ) -> None:
        self._reach = reach
        self._ask = ask
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        self._heard: dict[str, _End] = {}
        self._unused: set[str] = set()
        """Those of which nobody who waits has been told since."""
        self._asking: asyncio.Task[None] | None = None

    @property
    def waits(self) -> bool:
        """Whether somebody waits for the end of any run."""
        return bool(self._waiting)

    def expect(self, directory: str) -> None:
        """Forget what was heard of a run of that name, since another one begins.

        :param directory: the run directory.
        """
        self._heard.pop(directory, None)
        self._unused.discard(directory)

    def add(self, directory: str, ended: Callable[[], None]) -> Callable[[], None]:
        """Call a function, once, when a run may have ended.

        :param directory: the run directory.
        :param ended: what to call.
        :return: a function that stops it.
        """
        if directory in self._unused:
            self._unused.discard(directory)
            handle = asyncio.get_running_loop().call_soon(ended)
            return handle.cancel
        self._waiting.setdefault(directory, []).append(ended)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._keep_asking(), name="pydatatask ssh watch")

        def stop() -> None:
            waiting = self._waiting.get(directory, [])
            if ended in waiting:
                waiting.remove(ended)
            if not waiting:
                self._waiting.pop(directory, None)
            if not self._waiting and self._asking is not None:
                self._asking.cancel()
                self._asking = None

        return stop

    def heard(self, line: str, up_since: float | None) -> None:
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
        self._heard[directory] = _End(status != str(NOT_BEGUN), time)
        self._unused.add(directory)
        if len(self._heard) > _MANY:
            oldest = next(iter(self._heard))
            del self._heard[oldest]
            self._unused.discard(oldest)
        self._call(directory)

    def began(self, directory: str) -> bool | None:
        """Tell whether a run that has ended had begun; None if its supervisor has told nothing.

        :param directory: the run directory.
        """
        end = self._heard.get(directory)
        return None if end is None else end.began

    def ended(self, directory: str) -> float | None:
        """Tell when a run ended, in seconds since the epoch, as the machine's clock has it.

        :param directory: the run directory.
        :return: None if its supervisor has told nothing.
        """
        end = self._heard.get(directory)
        return None if end is None else end.time

    def _call(self, directory: str) -> None:
        for ended in self._waiting.pop(directory, ()):
            ended()

    async def _keep_asking(self) -> None:
        complaint = None
        while self._waiting:
            await asyncio.sleep(self.interval)
            try:
                for directory in await self._ask(list(self._waiting)):
                    self._call(directory)
            except ProcessManagerError as e:
                if str(e) != complaint:
                    complaint = str(e)
                    log.error("nothing is known of the jobs of %s: %s", self._reach.host, e)
            else:
                if complaint is not None:
                    complaint = None
                    log.warning("the jobs of %s are looked after again", self._reach.host)
