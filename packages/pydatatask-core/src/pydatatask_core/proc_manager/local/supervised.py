"""A job that is run by a supervisor of this process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ExitReport", "SupervisedJob"]


class ExitReport(NamedTuple):
    """The report of a supervisor on the end of a job."""

    return_code: int | None
    """The exit status; None if the script was not started."""

    end_time: float = 0.0
    """The time of the end, in seconds since the epoch."""

    process: tuple[int, int] | None = None
    """The process id, and the start time in clock ticks since the boot."""

    usage: tuple[float, float, int] | None = None
    """The user and system CPU seconds and the maximum resident memory in KiB."""

    ended_processes: int = 0
    """The number of processes that the job left behind and that were ended."""

    problem: str | None = None
    """The reason why the script was not started."""

    supervisor: int = 0
    """The process id of the outer process of the supervisor."""


class SupervisedJob:
    """A job that is run by a supervisor of this process."""

    def __init__(self) -> None:
        self.report: ExitReport | None = None
        """The report on its end; None before, and if its supervisor was killed."""
        self.is_over = False
        """True if the job is over, or its supervisor was killed."""
        self._watchers: list[Callable[[], None]] = []

    def watch(self, on_end: Callable[[], None]) -> Callable[[], None]:
        """Register a callback that the running loop calls when the job is over.

        :param on_end: the callback.
        :return: a function that unregisters it.
        """
        if self.is_over:
            return asyncio.get_running_loop().call_soon(on_end).cancel
        self._watchers.append(on_end)

        def stop() -> None:
            if on_end in self._watchers:
                self._watchers.remove(on_end)

        return stop

    def end(self, report: ExitReport | None) -> None:
        """Record that the job is over, and notify the watchers.

        :param report: the report of the supervisor; None if it was killed.
        """
        self.is_over, self.report = True, report
        watchers, self._watchers = self._watchers, []
        for on_end in watchers:
            on_end()
