"""Reasons why a ready job is not launched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.errors import PydatataskError

if TYPE_CHECKING:
    from pydatatask_core.resource_manager import ResourceManager, Resources
    from pydatatask_core.task import Task

__all__ = ["ERROR_PREFIX", "LaunchBudget", "launch_blocker"]

ERROR_PREFIX = "it cannot be launched: "
"""The prefix of the reason if an error prevents the launch."""


class LaunchBudget:
    """The remaining quotas and concurrency of tasks in a simulation of launches."""

    def __init__(self) -> None:
        self._used: dict[ResourceManager, Resources] = {}
        self._live_counts: dict[Task, int] = {}
        self._exhausted: dict[Task, str] = {}

    async def take(self, task: Task, job: str) -> str | None:
        """Count one more launch of a task, or return the reason why it is not possible.

        :param task: the task.
        :param job: the job, which is ready.
        """
        if task.disabled:
            return "the task is disabled"
        if task.concurrency is not None and not task.completes_in_launch:
            live_count = await self._count_live(task)
            if live_count >= task.concurrency:
                return f"{live_count} jobs of the task are live, which is its concurrency limit"
        # After one refusal, a round launches no further job of the task.
        refusal = self._exhausted.get(task) or await self._reserve(task, job)
        if refusal is None and task in self._live_counts:
            self._live_counts[task] += 1
        return refusal

    async def _reserve(self, task: Task, job: str) -> str | None:
        """Reserve the resources of a job, or return the reason why it cannot be launched."""
        try:
            task.check_recordable(job)
            request = await task.requested_resources(job)
        except PydatataskError as e:
            return f"{ERROR_PREFIX}{e}"
        if request is None:
            return None
        for quota in task.quotas:
            used = await self._usage(quota) + request
            exhausted = used.excess(quota.quota)
            if exhausted is not None:
                self._exhausted[task] = f"the quota of {exhausted.name} is exhausted"
                return self._exhausted[task]
        for quota in task.quotas:
            self._used[quota] += request
        return None

    async def _count_live(self, task: Task) -> int:
        if task not in self._live_counts:
            live_jobs: set[str] = set(task.running)
            for repo in task.live_repositories:
                live_jobs |= set(await repo.keys())
            self._live_counts[task] = len(live_jobs)
        return self._live_counts[task]

    async def _usage(self, quota: ResourceManager) -> Resources:
        if quota not in self._used:
            await quota.fill()
            used = quota.usage()
            assert used is not None  # it was just filled
            self._used[quota] = used
        return self._used[quota]


async def launch_blocker(task: Task, job: str) -> str | None:
    """Return the reason why a ready job cannot be launched now, or None.

    :param task: the task.
    :param job: the job.
    """
    return await LaunchBudget().take(task, job)
