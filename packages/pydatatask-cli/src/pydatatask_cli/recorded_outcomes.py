"""The recorded outcomes of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.repository.concurrency import read_many
from pydatatask_core.repository.views.filtered import succeeded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydatatask_core.repository import Repository
    from pydatatask_core.task import Task

__all__ = ["completion_links", "failed_jobs", "outcome_repositories"]


def outcome_repositories(task: Task) -> Iterable[Repository]:
    """Return the repositories in which a task records the outcomes of its jobs."""
    return task.outcome_repositories


async def failed_jobs(task: Task) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the records of a task's failed jobs, and errors for unreadable records.

    :param task: the task.
    :return: the records by job, and an error for each record that cannot be read.
    """
    failed: dict[str, dict[str, Any]] = {}
    errors: list[str] = []
    for repo in outcome_repositories(task):
        records, problems = await read_many(repo, await repo.keys())
        failed |= {job: record for job, record in records.items() if not succeeded(record)}
        errors += map(str, problems.values())
    return dict(sorted(failed.items())), sorted(errors)


def completion_links(task: Task) -> dict[str, Repository]:
    """Return, by link, the repositories of a task that prevent another launch of an ended job.

    Repositories that show live jobs are not included.
    """
    return {
        name: link.repo
        for name, link in task.links.items()
        if link.inhibits_start and (link.is_status or link.is_output) and not link.shows_live_jobs
    }
