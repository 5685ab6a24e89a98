"""Run directories of finished jobs that could not be removed."""

from __future__ import annotations

import logging
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydatatask_core.proc_manager.process import Leftover
    from pydatatask_core.task.base import Task

__all__ = ["Leftovers"]

log = logging.getLogger("pydatatask.task")


class Leftovers:
    """Reports the leftovers of a task: the first at once, and the total at the end.

    They are not stored: the next driver finds them in the folder of run directories.

    :param task: the task.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._paths: set[str] = set()

    def add(self, job: str, leftover: Leftover) -> None:
        """Report the leftover of a finished job.

        :param job: the job.
        :param leftover: the leftover.
        """
        if leftover.path in self._paths:
            return
        self._paths.add(leftover.path)
        log.log(
            logging.WARNING if len(self._paths) == 1 else logging.INFO,
            "%s: the run directory of finished job %s cannot be removed and is left as %s: %s",
            *(self._task.name, job, leftover.path, leftover.reason),
            extra={"task": self._task.name, "job": job},
        )

    def add_earlier(self, leftovers: Collection[Leftover]) -> None:
        """Report the leftovers of earlier drivers that still cannot be removed.

        :param leftovers: the leftovers.
        """
        if not leftovers:
            return
        self._paths.update(leftover.path for leftover in leftovers)
        first = min(leftovers)
        log.warning(
            "%s: %d run directories of finished jobs cannot be removed, for example %s: %s",
            *(self._task.name, len(leftovers), first.path, first.reason),
            extra={"task": self._task.name},
        )

    def close(self) -> None:
        """Report the number of leftovers."""
        if len(self._paths) > 1:
            log.warning(
                "%s: %d run directories of finished jobs are left in %s",
                *(self._task.name, len(self._paths), PurePath(min(self._paths)).parent),
                extra={"task": self._task.name},
            )
        self._paths.clear()
