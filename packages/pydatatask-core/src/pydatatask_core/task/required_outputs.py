"""Checks that successful jobs have written their required outputs."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydatatask_core.utils import Backoff

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.job_scope import JobScope

    from .links import Linked

__all__ = [
    "FAN_OUT",
    "MISSING_OUTPUTS",
    "OutputCheck",
    "Outputs",
    "describe_missing",
    "missing_outputs_record",
]

log = logging.getLogger("pydatatask.task")

FAN_OUT = "fan_out"
"""The key of a ``done`` record that lists the outputs to which a job wrote only other keys."""

MISSING_OUTPUTS = "missing_outputs"
"""The key of a ``done`` record that lists the missing outputs for which a job has failed."""

MIN_LOOK_INTERVAL_SECONDS = 0.1
MAX_LOOK_INTERVAL_SECONDS = 5.0
"""The delays between two checks for a missing output, at first and at most."""

FIRST_RETRY_DELAY_SECONDS = 0.5
MAX_RETRY_DELAY_SECONDS = 60.0
"""The delays before a store that could not be read is read again, at first and at most."""

Outputs = dict[str, "Repository"]
"""Repositories by link name."""


class OutputCheck:
    """The check of the required outputs of a task's successful jobs.

    A repository in memory or in files is queried for each job; any other one is listed, once for
    all jobs that ended before the listing began.

    :param task: the task.
    """

    def __init__(self, task: Linked) -> None:
        self.checking: set[str] = set()
        """The ended jobs whose outputs are being checked."""
        self._task = task
        self._listings: dict[int, _SharedListing] = {}
        self._unreadable: set[int] = set()
        self._last_error = ""

    def unwritten(self, scope: JobScope, record: dict[str, Any]) -> Outputs:
        """Return the required outputs that the body of a job is not known to have written.

        The outputs to which it wrote only other keys are added to the record.

        :param scope: the scope in which the body ran.
        :param record: the record of its success.
        """
        unwritten = {}
        for name, repo in self._task.required_outputs.items():
            if scope.wrote_own_key(repo):
                continue
            if scope.wrote_to(repo):
                record.setdefault(FAN_OUT, []).append(name)
            else:
                unwritten[name] = repo
        return unwritten

    async def has_all_here(self, job: str, outputs: Outputs) -> bool:
        """Return whether memory and files show at once that a job has written its outputs.

        If not, :meth:`verdict` decides, which may take some time.

        :param job: the job, which has ended.
        :param outputs: the outputs that it is not known to have written.
        """
        if not all(repo.looks_up_locally for repo in outputs.values()):
            return False
        try:
            return not await self.missing(job, outputs)
        except Exception:  # noqa: BLE001 - `verdict` reports it
            return False

    async def missing(self, job: str, outputs: Outputs) -> Outputs:
        """Return the outputs that do not contain a job.

        An output that this process may not read is left out, and reported once.

        :param job: the job, which has ended.
        :param outputs: the outputs that it is not known to have written.
        :raises Exception: if a store cannot be read.
        """
        with self._checking(job):
            return await self._find_missing(job, outputs)

    async def still_missing(self, job: str, missing: Outputs) -> Outputs:
        """Return the missing outputs that do not appear on a shared file system in time.

        :param job: the job, which has ended.
        :param missing: the outputs in which it was not found.
        :raises Exception: if a store cannot be read.
        """
        with self._checking(job):
            delays = [await repo.visibility_delay() for repo in missing.values()]
            deadline = time.monotonic() + min(delays, default=0.0)  # one missing output suffices
            backoff = Backoff(MIN_LOOK_INTERVAL_SECONDS, MAX_LOOK_INTERVAL_SECONDS)
            while missing and (remaining := deadline - time.monotonic()) > 0:
                await asyncio.sleep(min(backoff.next_delay(), remaining))
                missing = await self._find_missing(job, missing)
            return missing

    async def verdict(self, job: str, outputs: Outputs) -> dict[str, Any]:
        """Return the fields to add to the record of a successful job, when its outputs are known.

        :param job: the job, which has ended.
        :param outputs: the outputs that it is not known to have written.
        """
        missing = await self._check(job, outputs)
        return missing_outputs_record(missing) if missing else {}

    async def _check(self, job: str, outputs: Outputs) -> Outputs:
        """Return the missing outputs of a job.

        A store that cannot be read is read again with growing delays, without a limit.
        """
        backoff = Backoff(FIRST_RETRY_DELAY_SECONDS, MAX_RETRY_DELAY_SECONDS)
        with self._checking(job):
            while True:
                try:
                    missing = await self._find_missing(job, outputs)
                    return await self.still_missing(job, missing) if missing else missing
                except Exception as e:  # noqa: BLE001 - reported, and retried
                    delay = backoff.next_delay()
                    self._report_error(job, e, delay)
                await asyncio.sleep(delay)

    @contextmanager
    def _checking(self, job: str) -> Iterator[None]:
        outer = job not in self.checking
        self.checking.add(job)
        try:
            yield
        finally:
            if outer:
                self.checking.discard(job)

    def _report_error(self, job: str, error: Exception, delay: float) -> None:
        """Log an error; repetitions of the same error for other jobs only at debug level."""
        last, self._last_error = self._last_error, str(error)
        log.log(
            logging.DEBUG if last == self._last_error else logging.ERROR,
            "%s: job %s has ended, but checking its outputs failed, so that its outcome is not "
            "recorded yet; next try in %.1f s: %s",
            *(self._task.name, job, delay, error),
            extra={"task": self._task.name, "job": job},
        )

    async def _find_missing(self, job: str, outputs: Outputs) -> Outputs:
        missing = {}
        for name, repo in outputs.items():
            try:
                if repo.looks_up_locally:
                    exists = await repo.contains(job)
                else:
                    exists = job in await self._keys(repo)
            except (PermissionError, NotImplementedError) as e:
                self._warn_of_unreadable(name, repo, e)
            else:
                if not exists:
                    missing[name] = repo
        self._last_error = ""
        return missing

    async def _keys(self, repo: Repository) -> AbstractSet[str]:
        batch = self._listings.setdefault(id(repo), _SharedListing(repo))
        batch.waiting += 1
        try:
            return await batch.keys()
        finally:
            batch.waiting -= 1
            if not batch.waiting:  # so that its keys do not stay in memory
                self._listings.pop(id(repo), None)

    def _warn_of_unreadable(self, name: str, repo: Repository, error: Exception) -> None:
        if id(repo) not in self._unreadable:
            self._unreadable.add(id(repo))
            log.warning(
                "%s: the output `%s` of its jobs is not checked, because reading %r is not "
                "permitted: %s",
                *(self._task.name, name, repo, error),
                extra={"task": self._task.name},
            )


class _SharedListing:
    """Listings of a repository shared by concurrent callers.

    Each caller receives a listing that began after its request; there is one listing at a time.
    """

    def __init__(self, repo: Repository) -> None:
        self.waiting = 0
        self._repo = repo
        self._lock = asyncio.Lock()
        self._begun = 0
        self._ended = 0
        self._result: AbstractSet[str] | Exception = frozenset()

    async def keys(self) -> AbstractSet[str]:
        last_begun = self._begun
        async with self._lock:
            if self._ended <= last_begun:
                self._begun += 1
                try:
                    self._result = await self._repo.keys()
                except Exception as e:  # noqa: BLE001 - raised in each caller
                    self._result = e
                self._ended = self._begun
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


def describe_missing(names: Iterable[str]) -> str:
    """Return why a job that ended successfully without some of its outputs has failed.

    :param names: the link names of the missing outputs.
    """
    names = list(names)
    listed = " and ".join(f"`{name}`" for name in names)
    several = len(names) > 1
    return (
        f"succeeded without writing its output{'s' * several} {listed}; link "
        f"{'them' if several else 'it'} with optional=True if a job may succeed without "
        f"{'them' if several else 'it'}"
    )


def missing_outputs_record(names: Iterable[str]) -> dict[str, Any]:
    """Return the record fields of a job that ended successfully without some of its outputs.

    :param names: the link names of the missing outputs.
    """
    return {"success": False, "reason": describe_missing(names), MISSING_OUTPUTS: sorted(names)}
