"""Lookup of tasks and links by name, with suggestions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .errors import CommandLineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydatatask_core.pipeline import Pipeline
    from pydatatask_core.repository import Repository
    from pydatatask_core.task import Link, Task

__all__ = ["Data", "find_data", "find_task", "kind_of", "link_names", "shown_links", "suggest"]

_MAX_NAMES_SHOWN = 20
_KINDS = ("input", "status", "output")


class Data(NamedTuple):
    """A link named ``task.link``."""

    name: str
    task: Task
    link: Link

    @property
    def repo(self) -> Repository:
        """The repository."""
        return self.link.repo


def find_task(pipeline: Pipeline, name: str) -> Task:
    """Return the task with a name.

    :raises CommandLineError: if there is none; the message lists the tasks.
    """
    task = pipeline.tasks.get(name)
    if task is None:
        raise CommandLineError(
            f"there is no task {name!r}; {suggest(name, list(pipeline.tasks), 'task')}"
        )
    return task


def find_data(pipeline: Pipeline, name: str) -> Data:
    """Return the link that ``task.link`` names; either name may contain dots.

    :raises CommandLineError: if there is no such link; the message lists the links.
    """
    for task in pipeline.tasks.values():
        link = task.links.get(name.removeprefix(f"{task.name}."))
        if link is not None and name.startswith(f"{task.name}."):
            return Data(name, task, link)
    if "." not in name:
        raise CommandLineError(
            f"{name!r} is not the name of a repository: use its task and link, as in "
            f"`task.link`; {suggest(name, link_names(pipeline), 'link')}"
        )
    raise CommandLineError(
        f"there is no link {name!r}; {suggest(name, link_names(pipeline), 'link')}"
    )


def link_names(pipeline: Pipeline) -> list[str]:
    """Return every ``task.link`` of a pipeline."""
    return [f"{task.name}.{link}" for task in pipeline.tasks.values() for link in task.links]


def suggest(name: str, known: list[str], kind: str) -> str:
    """Return a suggestion for a mistyped name, with a list of the known names.

    :param name: the name.
    :param known: the known names.
    :param kind: the kind of the named things.
    """
    from difflib import get_close_matches

    if not known:
        return f"the pipeline has no {kind} at all"
    close = get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]!r}? There" if close else "there"
    rest = f" and {len(known) - _MAX_NAMES_SHOWN} more" if len(known) > _MAX_NAMES_SHOWN else ""
    return f"{hint} are: {', '.join(known[:_MAX_NAMES_SHOWN])}{rest}"


def kind_of(link: Link) -> str:
    """Return a link's kind: input, status, output or other."""
    if link.is_input:
        return "input"
    if link.is_status:
        return "status"
    return "output" if link.is_output else "other"


def shown_links(task: Task, all_repos: bool) -> Iterable[tuple[str, str, Link]]:
    """Yield name, kind and link of a task's links in the order of display, inputs first.

    :param task: the task.
    :param all_repos: whether to include links that are neither input nor output nor status.
    """
    for kind in (*_KINDS, "other") if all_repos else _KINDS:
        for name, link in task.links.items():
            if kind_of(link) == kind:
                yield name, kind, link
