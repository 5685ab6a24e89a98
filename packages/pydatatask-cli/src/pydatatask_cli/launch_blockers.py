"""What keeps a job that is ready from being launched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.errors import PydatataskError

if TYPE_CHECKING:
    from pydatatask_core.resource_manager import ResourceManager, Resources
    from pydatatask_core.task import Task

__all__ = ["ERROR_PREFIX", "LaunchBudget", "launch_blocker"]

ERROR_PREFIX = "it cannot be launched: "
"""How the reason begins if a job cannot be launched because of an error."""


class LaunchBudget:
    """What is left of the quotas and the concurrency of tasks, for launches that are imagined."""

    def __init__(self) -> None:
        self._used: dict[ResourceManager, Resources] = {}
        self._live_counts: dict[Task, int] = {}
        self._exhausted: dict[Task, str] = {}

    async def take(self, task: Task, job: str) -> str | None:
        """Imagine that one more job of a task is launched, or say why it would not be.

        :param task: the task.
        :param job: the job, which is ready.
        """
        if task.disabled:
            return "the task is disabled"
        if task.concurrency is not None and not task.completes_in_launch:
            live_count = await self._count_live(task)
            if live_count >= task.concurrency:
                return f"{live_count} jobs of the task are live, and its concurrency is no more"
        # Once one was refused, a round asks for no further job of its task.
        refusal = self._exhausted.get(task) or await self._reserve(task, job)
        if refusal is None and task in self._live_counts:
            self._live_counts[task] += 1
        return refusal

    async def _reserve(self, task: Task, job: str) -> str | None:
        """Take what a job needs from the quotas of its task, or say why it cannot be launched."""
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
                self._exhausted[task] = f"the quota of {exhausted.name} is used up"
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
    """Say what keeps a job of a task that is ready from being launched now, if anything does.

    :param task: the task.
    :param job: the job.
    """
    return await LaunchBudget().take(task, job)
