"""Detection of jobs of earlier runs that are done without one of their outputs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydatatask_core.errors import PydatataskError
from pydatatask_core.repository.concurrency import read_many
from pydatatask_core.repository.snapshot import Snapshot
from pydatatask_core.task.required_outputs import FAN_OUT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from collections.abc import Set as AbstractSet

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.task.base import Task

__all__ = ["find_done_without_output", "warn_of_done_without_output"]

log = logging.getLogger("pydatatask.pipeline")

READ_BATCH_SIZE = 64
"""The number of records that are read at a time in search of a success."""

MAX_JOBS_SHOWN = 20
"""The maximum number of jobs in a warning."""


async def find_done_without_output(
    tasks: Iterable[Task], snapshot: Snapshot | None = None
) -> dict[str, dict[str, list[str]]]:
    """Return the jobs that are recorded as successes but lack an output that is not optional.

    Keys are compared first; values are read only for the remaining jobs. A job that wrote other
    keys to an output (fan-out) does not lack it. Repositories that cannot be read are skipped.

    :param tasks: the tasks.
    :param snapshot: keys that are listed already.
    :return: the jobs by task and link.
    """
    snapshot = Snapshot() if snapshot is None else snapshot
    jobs_by_task: dict[str, dict[str, list[str]]] = {}
    for task in tasks:
        for name, repo in task.required_outputs.items():
            try:
                jobs = await _jobs_without_output(task, name, repo, snapshot)
            except (PydatataskError, OSError, NotImplementedError) as e:
                log.debug("%s: whether jobs lack output %s is not known: %s", task.name, name, e)
                continue
            if jobs:
                jobs_by_task.setdefault(task.name, {})[name] = sorted(jobs)
    return jobs_by_task


async def warn_of_done_without_output(tasks: Iterable[Task]) -> None:
    """Log a warning for jobs recorded as successes that lack an output that is not optional.

    :param tasks: the tasks.
    """
    for task, links in (await find_done_without_output(tasks)).items():
        for name, jobs in links.items():
            rest = f" and {len(jobs) - MAX_JOBS_SHOWN} more" if len(jobs) > MAX_JOBS_SHOWN else ""
            log.warning(
                "%s: %d jobs are done without output `%s`: %s%s; `retry` runs them again, and "
                "optional=True on the link permits it",
                *(task, len(jobs), name, " ".join(jobs[:MAX_JOBS_SHOWN]), rest),
                extra={"task": task, "jobs": len(jobs)},
            )


async def _jobs_without_output(
    task: Task, name: str, repo: Repository, snapshot: Snapshot
) -> AbstractSet[str]:
    records = task.outcome_repositories
    if not records:
        return frozenset()
    done = frozenset.intersection(*[frozenset(await snapshot.keys(r)) for r in records])
    written = await snapshot.keys(repo)
    jobs: AbstractSet[str] = done - written
    if not jobs or not done & written:
        return frozenset()  # if no job has its own key, all wrote other keys
    jobs = await _successes(task, jobs - task.running, snapshot)
    for record in records:
        values, _ = await read_many(record, list(jobs))
        jobs = {job for job, value in values.items() if name not in _fan_out(value)}
    if not jobs or not await _any_success(task, done & written, snapshot):
        return frozenset()
    # A job that ended during the listings has written its output before its record.
    return jobs - await repo.keys()


def _fan_out(record: object) -> Collection[object]:
    names = record.get(FAN_OUT) if isinstance(record, dict) else None
    return names if isinstance(names, list) else ()


async def _successes(task: Task, jobs: AbstractSet[str], snapshot: Snapshot) -> AbstractSet[str]:
    """Return the jobs that all records of a task count as successes; the snapshot caches these."""
    for view in task.outcome_views:
        await snapshot.candidates(view)
        jobs = await snapshot.select(view, jobs)
    return jobs


async def _any_success(task: Task, jobs: AbstractSet[str], snapshot: Snapshot) -> bool:
    remaining = sorted(jobs)
    for start in range(0, len(remaining), READ_BATCH_SIZE):
        if await _successes(task, frozenset(remaining[start : start + READ_BATCH_SIZE]), snapshot):
            return True
    return False
