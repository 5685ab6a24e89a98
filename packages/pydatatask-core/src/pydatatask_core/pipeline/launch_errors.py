"""Launch errors, logged once per reason: for its first job, later with the number of jobs."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from pydatatask_core.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["LaunchErrors", "reason_of"]

log = logging.getLogger("pydatatask.pipeline")

_WORD = re.compile(r"[\w-]+")
_JOB_PLACEHOLDER = "\0"
_MIN_JOB_PREFIX_CHARS = 16
"""A word of at least this many characters with which a job id begins is that id, truncated."""


def reason_of(error: BaseException | str, job: str) -> str:
    """Return the part of an error that is the same for every job that fails for this reason.

    :param error: the error, or its message.
    :param job: the failed job.
    """
    message = error.summary if isinstance(error, TemplateError) else str(error)
    text = message if isinstance(error, str) else f"{type(error).__name__}: {message}"
    cause = None if isinstance(error, str) else error
    while cause is not None:
        if isinstance(cause, OSError) and isinstance(cause.filename, str):
            text = text.replace(cause.filename, "")  # may be a random name
        cause = cause.__cause__
    if re.fullmatch(r"\w+", job) is None:
        text = text.replace(job, _JOB_PLACEHOLDER)
    return _WORD.sub(
        lambda word: _JOB_PLACEHOLDER if _mentions_job(word[0], job.lower()) else word[0], text
    )


def _mentions_job(word: str, job: str) -> bool:
    """Return whether a word is a job, or contains it as a pod's name does."""
    parts = word.lower().split("-")
    return any(
        part == job or (len(part) >= _MIN_JOB_PREFIX_CHARS and job.startswith(part))
        for part in parts
    )


class _Reason:
    def __init__(self, job: str, text: str) -> None:
        self.first_job = job
        self.text = text
        self.jobs: set[str] = set()
        self.logged_count = 1
        """The number of jobs in the last log message."""


class LaunchErrors:
    """The launch errors of one task.

    :param task: the name of the task.
    """

    def __init__(self, task: str) -> None:
        self._task = task
        self._reasons: dict[str, _Reason] = {}
        self._reason_of_job: dict[str, str] = {}

    def add(
        self, job: str, error: BaseException, delay: float | None, *, with_traceback: bool
    ) -> None:
        """Record a launch error; log it as an error if it is the first for its reason.

        :param job: the job.
        :param error: the error.
        :param delay: seconds until the next attempt; None for no retry.
        :param with_traceback: whether to log the traceback.
        """
        key = reason_of(error, job)
        if self._reason_of_job.get(job) != key:
            self.forget([job])
        known = key in self._reasons
        reason = self._reasons.setdefault(key, _Reason(job, str(error)))
        reason.jobs.add(job)
        self._reason_of_job[job] = key
        retry_hint = (
            "" if delay is None else f" (next try in {delay:.0f} s, while the pipeline runs)"
        )
        log.log(
            logging.DEBUG if known else logging.ERROR,
            "%s: job %s could not be launched%s: %s",
            *(self._task, job, retry_hint, error),
            extra={"task": self._task, "job": job},
            exc_info=error if with_traceback else None,
        )

    def forget(self, jobs: Collection[str]) -> None:
        """Discard the errors of jobs that were launched or are no longer ready.

        :param jobs: the jobs.
        """
        for job in jobs:
            key = self._reason_of_job.pop(job, None)
            if key is not None:
                self._reasons[key].jobs.discard(job)
                if not self._reasons[key].jobs:
                    del self._reasons[key]

    def report(self, *, growth: int = 1) -> None:
        """Log the number of jobs for each reason, if it has grown since the last message.

        :param growth: the factor by which it must have grown.
        """
        for reason in self._reasons.values():
            count = len(reason.jobs)
            if count > reason.logged_count and count >= growth * reason.logged_count:
                reason.logged_count = count
                log.error(
                    "%s: %d jobs could not be launched for the same reason; the first is %s: %s",
                    *(self._task, count, reason.first_job, reason.text),
                    extra={"task": self._task, "jobs": count},
                )
