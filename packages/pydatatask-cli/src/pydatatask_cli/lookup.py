"""Finding what a user named, or saying what there is."""

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
    """What ``task.link`` names."""

    name: str
    task: Task
    link: Link

    @property
    def repo(self) -> Repository:
        """The repository."""
        return self.link.repo


def find_task(pipeline: Pipeline, name: str) -> Task:
    """Give the task of a name.

    :raises CommandLineError: if there is none, naming those that there are.
    """
    task = pipeline.tasks.get(name)
    if task is None:
        raise CommandLineError(
            f"there is no task {name!r}; {suggest(name, list(pipeline.tasks), 'task')}"
        )
    return task


def find_data(pipeline: Pipeline, name: str) -> Data:
    """Give what ``task.link`` names; either name may have dots in it.

    :raises CommandLineError: if there is no such link, naming those that there are.
    """
    for task in pipeline.tasks.values():
        link = task.links.get(name.removeprefix(f"{task.name}."))
        if link is not None and name.startswith(f"{task.name}."):
            return Data(name, task, link)
    if "." not in name:
        raise CommandLineError(
            f"{name!r} names no repository: it is named by its task and link, as in "
            f"`task.link`; {suggest(name, link_names(pipeline), 'link')}"
        )
    raise CommandLineError(
        f"there is no link {name!r}; {suggest(name, link_names(pipeline), 'link')}"
    )


def link_names(pipeline: Pipeline) -> list[str]:
    """List every ``task.link`` of a pipeline."""
    return [f"{task.name}.{link}" for task in pipeline.tasks.values() for link in task.links]


def suggest(name: str, known: list[str], kind: str) -> str:
    """Say which name may have been meant, and which there are.

    :param name: what was typed.
    :param known: what there is.
    :param kind: what such a thing is called.
    """
    from difflib import get_close_matches

    if not known:
        return f"the pipeline has no {kind} at all"
    close = get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]!r}? There" if close else "there"
    rest = f" and {len(known) - _MAX_NAMES_SHOWN} more" if len(known) > _MAX_NAMES_SHOWN else ""
    return f"{hint} are: {', '.join(known[:_MAX_NAMES_SHOWN])}{rest}"


def kind_of(link: Link) -> str:
    """Give a link's kind: input, status, output or other."""
    if link.is_input:
        return "input"
    if link.is_status:
        return "status"
    return "output" if link.is_output else "other"


def shown_links(task: Task, all_repos: bool) -> Iterable[tuple[str, str, Link]]:
    """Iterate a task's links as they are shown: name, kind and link; inputs come first.

    :param task: whose links.
    :param all_repos: whether those that are neither input nor output nor status are shown, too.
    """
    for kind in (*_KINDS, "other") if all_repos else _KINDS:
        for name, link in task.links.items():
            if kind_of(link) == kind:
                yield name, kind, link
