"""Detection of links that write to one location, where one would overwrite another's data."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from pydatatask_core.errors import PipelineConfigurationError, TaskConfigurationError
from pydatatask_core.repository.job_scope import written_stores
from pydatatask_core.repository.location import is_same_location, shared_entry
from pydatatask_core.repository.snapshot import View

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.location import Location
    from pydatatask_core.task.base import Task
    from pydatatask_core.task.link import Link
    from pydatatask_core.task.shared_outputs import SharedOutputs

__all__ = ["find_collisions", "prepare_shared_outputs", "warn_of_shared_outputs"]

log = logging.getLogger("pydatatask.pipeline")


class LinkTarget(NamedTuple):
    """A repository that a link leads to, directly or through views."""

    task: Task
    name: str
    link: Link
    repo: Repository
    location: Location

    @property
    def writes(self) -> bool:
        """Whether the task writes to it."""
        return self.link.is_output or self.link.is_status

    @property
    def is_status(self) -> bool:
        """Whether the link is a status link, whose values the task itself writes and deletes."""
        return self.link.is_status

    def __str__(self) -> str:
        return f"{self.task.name}.{self.name}"


def find_collisions(tasks: Sequence[Task]) -> list[Exception]:
    """Return an error for each location that several links lead to although they must not.

    These are two links to which one task writes; a status link and a link required for start of one
    task; and a status link of one task and a link to which another task writes. This blocks.

    :param tasks: the tasks of the pipeline.
    """
    errors: list[Exception] = []
    for group in _group_by_location(_link_targets(tasks)):
        for task in dict.fromkeys(target.task for target in group):
            own = [target for target in group if target.task is task]
            if names := _colliding_links(own):
                errors.append(
                    TaskConfigurationError(_describe_collision_in_task(task, names, own[0].repo))
                )
        active = [
            other_target
            for other_target in group
            if other_target.writes and not other_target.task.disabled
        ]
        status = [other_target for other_target in active if other_target.is_status]
        others = [
            other_target
            for other_target in active
            if any(other_target.task is not other.task for other in status)
        ]
        if others and len({other_target.task for other_target in active}) > 1:
            errors.append(PipelineConfigurationError(_describe_collision_of_tasks(status, active)))
    return errors


async def prepare_shared_outputs(tasks: Sequence[Task]) -> SharedOutputs | None:
    """Set on each task which of its locations ignore case, and return the shared locations.

    :param tasks: the tasks of the pipeline.
    :return: the locations that several tasks write to, or None.
    """
    targets = await asyncio.to_thread(_link_targets, tasks)
    for task in tasks:
        recording = task.recording_repositories
        task.case_insensitive_records = {
            target.name: target.repo
            for target in targets
            if target.task is task and target.name in recording and target.location.ignores_case
        }
    groups = _shared_outputs(targets)
    if not groups:
        return None
    from pydatatask_core.task.shared_outputs import SharedOutputs

    return SharedOutputs([(target.task, target.repo) for target in group] for group in groups)


def _shared_outputs(targets: Iterable[LinkTarget]) -> list[list[LinkTarget]]:
    """Return the outputs of several tasks that lead to one location, by location."""
    groups = _group_by_location(
        target for target in targets if target.link.is_output and not target.task.disabled
    )
    return [group for group in groups if len({target.task for target in group}) > 1]


def warn_of_shared_outputs(tasks: Sequence[Task]) -> None:
    """Log a warning for links whose jobs may be mistaken for those of another link. This blocks.

    :param tasks: the tasks of the pipeline.
    """
    active = [target for target in _link_targets(tasks) if not target.task.disabled]
    for group in _shared_outputs(active):
        if not all(target.link.shared for target in group):
            log.warning(
                "%s write to one repository, %r; the jobs of one task look like jobs of the other. "
                "If that is intended, link it with shared=True in each of these tasks",
                " and ".join(map(str, group)),
                group[0].repo,
            )
    logged = set()
    for one, other in _overlapping_pairs(active):
        text = _describe_overlap(one, other)
        if text is not None and text not in logged:
            logged.add(text)
            log.warning("%s", text)


def _link_targets(tasks: Iterable[Task]) -> list[LinkTarget]:
    known: dict[int, Location] = {}  # by id: several links often share a repository
    targets = []
    for task in tasks:
        for name, link in task.links.items():
            for leaf in written_stores(link.repo):
                if isinstance(leaf, View):
                    continue
                if id(leaf) not in known:
                    known[id(leaf)] = leaf.location
                targets.append(LinkTarget(task, name, link, leaf, known[id(leaf)]))
    return targets


def _group_by_location(targets: Iterable[LinkTarget]) -> list[list[LinkTarget]]:
    """Group targets by location; omit targets that are alone in theirs."""
    by_store: defaultdict[Hashable, list[list[LinkTarget]]] = defaultdict(list)
    for target in targets:
        groups = by_store[target.location.store]
        for group in groups:
            if is_same_location(group[0].location, target.location):
                group.append(target)
                break
        else:
            groups.append([target])
    return [group for groups in by_store.values() for group in groups if len(group) > 1]


def _colliding_links(own: list[LinkTarget]) -> list[str]:
    """Return the names of one task's links that must not lead to the same location."""
    written = {target.name for target in own if target.writes}
    status = {target.name for target in own if target.is_status}
    required = {
        target.name for target in own if target.link.required_for_start and not target.writes
    }
    if len(written) > 1:
        return [
            target for target in dict.fromkeys(target.name for target in own) if target in written
        ]
    if status and required:
        return sorted(status | required)
    return []


def _describe_collision_in_task(task: Task, names: list[str], repo: Repository) -> str:
    return (
        f"{task.name}: the links {_join(names)} lead to one location, {repo!r}, so each of them "
        "would overwrite or delete the data of the other; give each its own location, such as "
        "another folder, extension, prefix or collection"
    )


def _describe_collision_of_tasks(status: list[LinkTarget], written: list[LinkTarget]) -> str:
    kind = "is a status link" if len(status) == 1 else "are status links"
    return (
        f"{_join(list(map(str, written)))} lead to one location, {written[0].repo!r}, and "
        f"{_join(list(map(str, status)))} {kind}, "
        "which no other task may write to, because each task would mistake the other's jobs for "
        "its own; give each its own location, such as another folder, extension, prefix or "
        "collection"
    )


def _join(names: list[str]) -> str:
    return " and ".join(dict.fromkeys(names))


def _overlapping_pairs(targets: list[LinkTarget]) -> Iterator[tuple[LinkTarget, LinkTarget]]:
    """Yield each pair of targets whose stores are the same or one inside the other, once."""
    by_store: defaultdict[Hashable, list[LinkTarget]] = defaultdict(list)
    for target in targets:
        by_store[target.location.store].append(target)
    for group in by_store.values():
        distinct = {id(item.repo): item for item in sorted(group, key=lambda item: item.writes)}
        yield from combinations(distinct.values(), 2)
        inside = next((item for item in group if item.writes), None)
        for store, _ in group[0].location.parents if inside is not None else ():
            for outer in by_store.get(store, ()):
                if outer.location.holds_folders:
                    yield outer, inside  # type: ignore[misc] # checked above


def _describe_overlap(one: LinkTarget, other: LinkTarget) -> str | None:
    """Return a description of the entries of one target that the other lists too, or None."""
    if not (one.writes or other.writes) or is_same_location(one.location, other.location):
        return None
    if one.location.store == other.location.store:
        jobs = shared_entry(one.repo, other.repo)
        return jobs and (
            f"{one} and {other} share entries: job {jobs[0]!r} of {one.repo!r} is "
            f"also job {jobs[1]!r} of {other.repo!r}; give each its own location"
        )
    name = dict(other.location.parents)[one.location.store]
    job = one.location.job_in(name)
    if job is None or not one.repo.is_valid_job_id(job):
        return None
    return (
        f"the location of {other}, {other.repo!r}, is listed as job {job!r} of {one}, "
        f"{one.repo!r}; move one of them elsewhere"
    )
