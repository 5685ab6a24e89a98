"""Jobs whose membership in a view is unknown."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Repository
    from .concurrency import Problems

__all__ = ["UndecidedJobs"]

MAX_NAMED_JOBS = 10
"""Number of newly undecided jobs that are logged one by one."""

log = logging.getLogger("pydatatask.repository")


class UndecidedJobs:
    """The jobs of a view whose values are malformed: each is logged once, and checked every round.

    :param view: the view, for the messages.
    """

    def __init__(self, view: Repository) -> None:
        self._view = view
        self._jobs: set[str] = set()
        self._last_round: set[str] = set()

    def start_round(self) -> None:
        """Start a new round; jobs that are not undecided again are discarded."""
        self._last_round, self._jobs = self._jobs, set()

    def add(self, problems: Problems) -> None:
        """Add undecided jobs with their problems, and log the new ones."""
        new = [job for job in problems if job not in self._jobs and job not in self._last_round]
        for job in new[:MAX_NAMED_JOBS]:
            log.warning(
                "%r: it is unknown whether job %r is in it: %s",
                self._view,
                job,
                problems[job],
                extra={"job": job},
            )
        if len(new) > MAX_NAMED_JOBS:
            log.warning(
                "%r: the same is unknown of %d more jobs, for example %r",
                self._view,
                len(new) - MAX_NAMED_JOBS,
                new[MAX_NAMED_JOBS],
            )
        self._jobs.update(problems)

    def __bool__(self) -> bool:
        return bool(self._jobs)
