"""Finding tasks that never begin, because they wait for each other or for an absent task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.errors import PydatataskError
from pydatatask_core.repository.snapshot import View
from pydatatask_core.repository.views.sets import AggregateAndRepository

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.task.base import Task
    from pydatatask_core.task.links import Linked

__all__ = ["find_absent_upstream", "find_deadlock"]


async def find_deadlock(tasks: Sequence[Task]) -> list[Task]:
    """Give the tasks that require what only they write, one for the other, while that is empty.

    Those that only wait for one of these are not among them. A repository is asked for its jobs
    only where it could be the one that keeps such tasks.

    :param tasks: the tasks of the pipeline.
    """
    reachability = _Reachability(tasks)
    while stuck := reachability.find_stuck():
        needed = {
            _store_key(leaf): leaf
            for task in stuck
            for repo in task.required_for_start.values()
            for leaf in _leaves(repo)
            if not reachability.accepts_job_id(leaf)
        }
        nonempty = {key for key, leaf in needed.items() if await _has_any(leaf)}
        if not nonempty:
            return [task for task in stuck if reachability.waits_for_itself(task, stuck)]
        reachability.nonempty |= nonempty
    return []


async def find_absent_upstream(tasks: Sequence[Task]) -> list[tuple[Task, Linked]]:
    """Find tasks that are plugged behind one that the pipeline lacks and that has never run.

    A task of the pipeline that writes to one of the same places stands for the absent one.

    :param tasks: the tasks of the pipeline.
    :return: pairs of a task and the task that is absent.
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
    """Who writes what, and what may come of that.

    :param tasks: the tasks of the pipeline.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.nonempty: set[object] = set()
        """The places that have a job already."""
        self._tasks = tasks
        self._startable: list[Task] = []
        self._writers: dict[object, list[Task]] = {}
        for task in tasks:
            for link in task.links.values():
                if link.is_output or link.is_status:
                    self._writers.setdefault(_store_key(link.repo), []).append(task)

    def find_stuck(self) -> list[Task]:
        """Give the tasks none of whose jobs can ever be ready."""
        self._startable, rest = [], list(self._tasks)
        while more := [task for task in rest if self._may_start(task)]:
            self._startable += more
            rest = [task for task in rest if task not in more]
        return rest

    def _may_start(self, task: Task) -> bool:
        # Of what is only launched by hand, or has a rule of its own, nothing is known.
        if task.disabled or not task.default_ready:
            return True
        return all(map(self.accepts_job_id, task.required_for_start.values()))

    def accepts_job_id(self, repo: Repository) -> bool:
        """Tell whether there may ever be a job in a repository.

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
        """Tell whether a task waits for what comes of its own jobs alone.

        :param task: the task.
        :param among: the tasks that cannot begin.
        """
        seen: list[Task] = []
        frontier = [task]
        while frontier:
            leaves = _leaves(*frontier.pop().required_for_start.values())
            writers = [
                writer for leaf in leaves for writer in self._writers.get(_store_key(leaf), ())
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


def _leaves(*repos: Repository) -> Iterator[Repository]:
    for repo in repos:
        if isinstance(repo, View):
            yield from _leaves(*repo.children.values())
        else:
            yield repo


def _store_key(repo: Repository) -> object:
    return repo.identity or id(repo)


async def _has_any(repo: Repository) -> bool:
    try:
        async for _ in repo:
            return True
    except PydatataskError:
        return True  # nobody knows, and the first round will say what is wrong
    return False
