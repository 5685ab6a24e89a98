"""Jobs of which a view cannot say whether it has them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Repository
    from .bulk import Problems

__all__ = ["Doubts"]

log = logging.getLogger("pydatatask.repository")


class Doubts:
    """The jobs of a view whose value is malformed: each is told of once, and asked for again.

    :param view: the view, for the messages.
    """

    def __init__(self, view: Repository) -> None:
        self._view = view
        self._jobs: set[str] = set()
        self._before: set[str] = set()

    def begin(self) -> None:
        """Begin a new round, in which what is not doubtful again is forgotten."""
        self._before, self._jobs = self._jobs, set()

    def add(self, problems: Problems) -> None:
        """Note the jobs that turned out to be doubtful, and why."""
        for job, problem in problems.items():
            if job not in self._jobs and job not in self._before:
                log.warning(
                    "%r: it is not known whether job %r is in it: %s",
                    self._view,
                    job,
                    problem,
                    extra={"job": job},
                )
            self._jobs.add(job)

    def __bool__(self) -> bool:
        return bool(self._jobs)
