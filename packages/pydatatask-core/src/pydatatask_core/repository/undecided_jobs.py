"""Jobs of which a view cannot say whether it has them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Repository
    from .concurrency import Problems

__all__ = ["UndecidedJobs"]

MAX_NAMED_JOBS = 10
"""How many of the jobs that turn out to be doubtful at once have a message of their own."""

log = logging.getLogger("pydatatask.repository")


class UndecidedJobs:
    """The jobs of a view whose value is malformed: each is told of once, and asked for again.

    :param view: the view, for the messages.
    """

    def __init__(self, view: Repository) -> None:
        self._view = view
        self._jobs: set[str] = set()
        self._last_round: set[str] = set()

    def start_round(self) -> None:
        """Begin a new round, in which what is not doubtful again is forgotten."""
        self._last_round, self._jobs = self._jobs, set()

    def add(self, problems: Problems) -> None:
        """Note the jobs that turned out to be doubtful, and why."""
        new = [job for job in problems if job not in self._jobs and job not in self._last_round]
        for job in new[:MAX_NAMED_JOBS]:
            log.warning(
                "%r: it is not known whether job %r is in it: %s",
                self._view,
                job,
                problems[job],
                extra={"job": job},
            )
        if len(new) > MAX_NAMED_JOBS:
            log.warning(
                "%r: nor is it known of %d more jobs, %r for one",
                self._view,
                len(new) - MAX_NAMED_JOBS,
                new[MAX_NAMED_JOBS],
            )
        self._jobs.update(problems)

    def __bool__(self) -> bool:
        return bool(self._jobs)
