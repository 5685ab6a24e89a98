"""Detection of tasks that can never start, because they wait for each other or a missing task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.errors import PydatataskError
from pydatatask_core.repository.snapshot import View, stores
from pydatatask_core.repository.views.sets import AggregateAndRepository

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.task.base import Task
    from pydatatask_core.task.links import Linked

__all__ = ["find_absent_upstream", "find_deadlock"]


async def find_deadlock(tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks that wait for each other: each requires output that only they write.

    Tasks that only wait for one of these are not included. A repository is listed only if it can
    be the cause.

    :param tasks: the tasks of the pipeline.
    """
    reachability = _Reachability(tasks)
    while stuck := reachability.find_stuck():
        needed = {
            _store_key(repo): repo
            for task in stuck
            for repo in stores(*task.required_for_start.values())
            if not reachability.accepts_job_id(repo)
        }
        nonempty = {key for key, repo in needed.items() if await _has_any(repo)}
        if not nonempty:
            return [task for task in stuck if reachability.waits_for_itself(task, stuck)]
        reachability.nonempty |= nonempty
    return []


async def find_absent_upstream(tasks: Sequence[Task]) -> list[tuple[Task, Linked]]:
    """Return tasks plugged behind a task that is not in the pipeline and has no results yet.

    If another task of the pipeline writes to one of the same repositories, it replaces the missing
    task.

    :param tasks: the tasks of the pipeline.
    :return: pairs of a task and the missing task.
    """
    written = {_store_key(repo) for task in tasks for repo in _written_repositories(task)}
    absent = []
    for task in tasks:
        for upstream in dict.fromkeys(task.upstream_tasks):
            repos = _written_repositories(upstream)
            if upstream in tasks or not written.isdisjoint(map(_store_key, repos)):
                continue
            if not any([await _has_any(repo) for repo in repos]):
                absent.append((task, upstream))
    return absent


class _Reachability:
    """The writers of each repository, and the tasks that can start.

    :param tasks: the tasks of the pipeline.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.nonempty: set[object] = set()
        """The repositories that contain a job already, by store key."""
        self._tasks = tasks
        self._startable: list[Task] = []
        self._writers: dict[object, list[Task]] = {}
        for task in tasks:
            for link in task.links.values():
                if link.is_output or link.is_status:
                    self._writers.setdefault(_store_key(link.repo), []).append(task)

    def find_stuck(self) -> list[Task]:
        """Return the tasks of which no job can ever be ready."""
        self._startable, rest = [], list(self._tasks)
        while more := [task for task in rest if self._may_start(task)]:
            self._startable += more
            rest = [task for task in rest if task not in more]
        return rest

    def _may_start(self, task: Task) -> bool:
        # Tasks that are launched by hand, or have a readiness rule of their own, cannot be judged.
        if task.disabled or not task.default_ready:
            return True
        return all(map(self.accepts_job_id, task.required_for_start.values()))

    def accepts_job_id(self, repo: Repository) -> bool:
        """Return whether a repository can ever contain a job.

        :param repo: the repository.
        """
        if isinstance(repo, View) and repo.children:
            found = map(self.accepts_job_id, repo.children.values())
            return all(found) if isinstance(repo, AggregateAndRepository) else any(found)
        place = _store_key(repo)
        writers = self._writers.get(place)
        return (
            writers is None
            or place in self.nonempty
            or any(it in self._startable for it in writers)
        )

    def waits_for_itself(self, task: Task, among: Sequence[Task]) -> bool:
        """Return whether a task waits for output that depends on its own jobs.

        :param task: the task.
        :param among: the tasks that cannot start.
        """
        seen: list[Task] = []
        frontier = [task]
        while frontier:
            needed = stores(*frontier.pop().required_for_start.values())
            writers = [
                writer for repo in needed for writer in self._writers.get(_store_key(repo), ())
            ]
            if task in writers:
                return True
            new = [
                writer
                for writer in dict.fromkeys(writers)
                if writer in among and writer not in seen
            ]
            seen += new
            frontier += new
        return False


def _written_repositories(task: Linked) -> list[Repository]:
    return [link.repo for link in task.links.values() if link.is_output or link.is_status]


def _store_key(repo: Repository) -> object:
    return repo.identity or id(repo)


async def _has_any(repo: Repository) -> bool:
    try:
        async for _ in repo:
            return True
    except PydatataskError:
        return True  # unknown; the first round will report the error
    return False
