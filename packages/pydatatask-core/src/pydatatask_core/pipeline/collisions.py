"""Finding links that write to one place, where one would overwrite what the other stores."""

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

__all__ = ["find_collisions", "note_places", "warn_of_shared"]

log = logging.getLogger("pydatatask.pipeline")


class Target(NamedTuple):
    """A repository that a link leads to, itself or through views."""

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
    """Find the links that must not lead to one place. This blocks.

    These are two links of one task that it writes to, a status link beside a link that is required
    for start, and a status link of one task beside a link that another task writes to.

    :param tasks: the tasks of the pipeline.
    :return: an error for each place.
    """
    found: list[Exception] = []
    for place in _places(_targets(tasks)):
        for task in dict.fromkeys(target.task for target in place):
            own = [target for target in place if target.task is task]
            if names := _colliding(own):
                found.append(TaskConfigurationError(_own_collision(task, names, own[0].repo)))
        active = [it for it in place if it.writes and not it.task.disabled]
        status = [it for it in active if it.is_status]
        others = [it for it in active if any(it.task is not other.task for other in status)]
        if others and len({it.task for it in active}) > 1:
            found.append(PipelineConfigurationError(_foreign_collision(status, active)))
    return found


async def note_places(tasks: Sequence[Task]) -> SharedOutputs | None:
    """Let the tasks know which places they share, and which of their places ignore case.

    :param tasks: the tasks of the pipeline.
    :return: the places that they share, if there are any.
    """
    targets = await asyncio.to_thread(_targets, tasks)
    for task in tasks:
        recording = task.recording_repositories
        task.case_insensitive_records = {
            it.name: it.repo
            for it in targets
            if it.task is task and it.name in recording and it.location.ignores_case
        }
    places = _shared_outputs(targets)
    if not places:
        return None
    from pydatatask_core.task.shared_outputs import SharedOutputs

    return SharedOutputs([(it.task, it.repo) for it in place] for place in places)


def _shared_outputs(targets: Iterable[Target]) -> list[list[Target]]:
    """Find the outputs of several tasks that lead to one place."""
    places = _places(it for it in targets if it.link.is_output and not it.task.disabled)
    return [place for place in places if len({it.task for it in place}) > 1]


def warn_of_shared(tasks: Sequence[Task]) -> None:
    """Warn where the jobs of one link look like another's. This blocks.

    :param tasks: the tasks of the pipeline.
    """
    active = [it for it in _targets(tasks) if not it.task.disabled]
    for place in _shared_outputs(active):
        if not all(it.link.shared for it in place):
            log.warning(
                "%s write to one repository, %r; the jobs of the one look like the other's. If "
                "that is intended, link it with shared=True in each of these tasks",
                " and ".join(map(str, place)),
                place[0].repo,
            )
    told = set()
    for one, other in _overlaps(active):
        text = _overlap(one, other)
        if text is not None and text not in told:
            told.add(text)
            log.warning("%s", text)


def _targets(tasks: Iterable[Task]) -> list[Target]:
    known: dict[int, Location] = {}  # by object: several links often lead to one
    found = []
    for task in tasks:
        for name, link in task.links.items():
            for leaf in written_stores(link.repo):
                if isinstance(leaf, View):
                    continue
                if id(leaf) not in known:
                    known[id(leaf)] = leaf.location
                found.append(Target(task, name, link, leaf, known[id(leaf)]))
    return found


def _places(targets: Iterable[Target]) -> list[list[Target]]:
    """Group targets by place; those that are alone in theirs are left out."""
    places: defaultdict[Hashable, list[list[Target]]] = defaultdict(list)
    for target in targets:
        here = places[target.location.store]
        for place in here:
            if is_same_location(place[0].location, target.location):
                place.append(target)
                break
        else:
            here.append([target])
    return [place for here in places.values() for place in here if len(place) > 1]


def _colliding(own: list[Target]) -> list[str]:
    """Name those links of one task that must not lead to the same place."""
    written = {it.name for it in own if it.writes}
    status = {it.name for it in own if it.is_status}
    required = {it.name for it in own if it.link.required_for_start and not it.writes}
    if len(written) > 1:
        return [it for it in dict.fromkeys(it.name for it in own) if it in written]
    if status and required:
        return sorted(status | required)
    return []


def _own_collision(task: Task, names: list[str], repo: Repository) -> str:
    return (
        f"{task.name}: the links {_spoken(names)} lead to one place, {repo!r}, so what one of them "
        "stores would be overwritten or deleted by the other; give each a place of its own, such "
        "as another folder, extension, prefix or collection"
    )


def _foreign_collision(status: list[Target], written: list[Target]) -> str:
    kind = "is a status link" if len(status) == 1 else "are status links"
    return (
        f"{_spoken(list(map(str, written)))} lead to one place, {written[0].repo!r}, and "
        f"{_spoken(list(map(str, status)))} {kind}, "
        "which no other task may write to, because the tasks would take each other's jobs for "
        "their own; give each a place of its own, such as another folder, extension, prefix or "
        "collection"
    )


def _spoken(names: list[str]) -> str:
    return " and ".join(dict.fromkeys(names))


def _overlaps(targets: list[Target]) -> Iterator[tuple[Target, Target]]:
    """Iterate pairs of targets in one store, or where one's store is in the other's, once each."""
    by_store: defaultdict[Hashable, list[Target]] = defaultdict(list)
    for target in targets:
        by_store[target.location.store].append(target)
    for here in by_store.values():
        distinct = {id(it.repo): it for it in sorted(here, key=lambda it: it.writes)}
        yield from combinations(distinct.values(), 2)
        inside = next((it for it in here if it.writes), None)
        for store, _ in here[0].location.parents if inside is not None else ():
            for outer in by_store.get(store, ()):
                if outer.location.holds_folders:
                    yield outer, inside  # type: ignore[misc] # checked above


def _overlap(one: Target, other: Target) -> str | None:
    """Describe what one target lists of the other's, if anything."""
    if not (one.writes or other.writes) or is_same_location(one.location, other.location):
        return None
    if one.location.store == other.location.store:
        jobs = shared_entry(one.repo, other.repo)
        return jobs and (
            f"{one} and {other} share entries of one place: job {jobs[0]!r} of {one.repo!r} is "
            f"also job {jobs[1]!r} of {other.repo!r}; give each a place of its own"
        )
    name = dict(other.location.parents)[one.location.store]
    job = one.location.job_in(name)
    if job is None or not one.repo.is_valid_job_id(job):
        return None
    return (
        f"the place of {other}, {other.repo!r}, is listed as job {job!r} of {one}, {one.repo!r}; "
        "put one of them elsewhere"
    )
