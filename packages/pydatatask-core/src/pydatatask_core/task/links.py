"""What a task is linked to, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TaskConfigurationError
from pydatatask_core.repository.base import Repository

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydatatask_core.repository.views.filtered import SucceededRepository

    from .base import Task
    from .link import Link

__all__ = ["Linked"]


class Linked:
    """The links of a task: making them, plugging one task into another, asking for them.

    :param name: the name of the task.
    :param ready: which jobs are to be launched, if that is not to follow from the links.
    """

    def __init__(self, name: str, ready: Repository | None) -> None:
        _check_name(name)
        if ready is not None and not isinstance(ready, Repository):
            raise TaskConfigurationError(
                f"{name}: ready has to be a repository or None, not {ready!r}"
            )
        self.name = name
        self.links: dict[str, Link] = {}
        self._ready = ready
        self._default_ready: Repository | None = None
        self._max_plain_length = -1
        """Up to which length every name of letters and digits can be recorded; -1 if not known."""
        self._required_outputs: dict[str, Repository] | None = None
        self._outcomes: dict[str, SucceededRepository] = {}
        self.upstream_tasks: list[Linked] = []
        """The tasks that this one was plugged behind."""
        self.failed_counted_by: list[str] = []
        """The tasks that are started by failed jobs of this one, too."""

    @property
    def ready(self) -> Repository:
        """The repository whose jobs are to be launched.

        If none was given to the constructor, it is
        ``AND(*required_for_start, NOT(OR(*inhibits_start)))``.
        """
        if self._ready is not None:
            return self._ready
        if self._default_ready is None:
            # Views are imported where one is made: to name a task costs little.
            from pydatatask_core.repository.views.sets import (
                AggregateAndRepository,
                AggregateOrRepository,
                BlockingRepository,
            )

            required = AggregateAndRepository(**self.required_for_start)
            inhibiting = self.inhibits_start
            self._default_ready = (
                BlockingRepository(required, AggregateOrRepository(**inhibiting))
                if inhibiting
                else required
            )
        return self._default_ready

    @property
    def default_ready(self) -> bool:
        """Whether readiness follows from the links alone."""
        return self._ready is None

    def link(
        self,
        name: str,
        repo: Repository,
        is_input: bool = False,
        is_output: bool = False,
        is_status: bool = False,
        inhibits_start: bool = False,
        required_for_start: bool | None = None,
        inhibits_output: bool = False,
        required_for_output: bool | None = None,
        *,
        shared: bool = False,
        optional: bool = False,
    ) -> None:
        """Create a link between this task and a repository.

        :param name: the name of the link, which templates and functions know it by.
        :param repo: the repository to link.
        :param is_input: whether it contains data which is consumed by the task.
        :param is_output: whether it is populated by the task.
        :param is_status: whether it is populated with task-ephemeral data.
        :param inhibits_start: whether a job in it is kept from being launched.
        :param required_for_start: whether a job has to be in it to be launched; as ``is_input``
            if unspecified.
        :param inhibits_output: whether it becomes ``inhibits_start`` in tasks that this one is
            plugged into.
        :param required_for_output: whether it becomes ``required_for_start`` in tasks that this
            one is plugged into; as ``is_output`` if unspecified.
        :param shared: whether other tasks are meant to write to the same place. If all links to
            it say so, opening the pipeline does not warn of it.
        :param optional: whether a job may end well without this output. Otherwise a job that ends
            without an output that is required for output has failed. A task plugged after this
            one starts only for jobs that have it, in either case.
        :raises TaskConfigurationError: if the name is taken, or no repository is given.
        """
        if not isinstance(name, str) or not name:
            raise TaskConfigurationError(
                f"{self.name}: the name of a link has to be a string, not {name!r}"
            )
        if not isinstance(repo, Repository):
            raise TaskConfigurationError(
                f"{self.name}.{name}: only a repository can be linked, not {repo!r}"
            )
        if name in self.links:
            raise TaskConfigurationError(
                f"{self.name} has a link {name!r} already, to {self.links[name].repo!r}; "
                f"give the one to {repo!r} another name"
            )
        from .link import Link

        self.links[name] = Link(
            repo=repo,
            is_input=is_input,
            is_output=is_output,
            is_status=is_status,
            inhibits_start=inhibits_start,
            required_for_start=is_input if required_for_start is None else required_for_start,
            inhibits_output=inhibits_output,
            required_for_output=is_output if required_for_output is None else required_for_output,
            shared=shared,
            optional=optional,
        )
        self._default_ready = None
        self._required_outputs = None
        self._max_plain_length = -1

    def plug(
        self,
        output: Task,
        output_links: Iterable[str] | None = None,
        meta: bool = True,
        translator: Repository | None = None,
        translate_allow_deletes: bool = False,
        translate_prefetch_lookup: bool = True,
        failed_counts: bool = False,
    ) -> None:
        """Link the output repositories of ``output`` as inputs to this task.

        Outputs keep their link's name; of the other links those that are required for output or
        inhibit it become ``<task>_<link>``. A job that failed does not start this task: in the
        place of ``done`` stands a view of it without the failed jobs.

        :param output: the task to plug into this one.
        :param output_links: the names of the only links to use, the gate on ``done`` included.
        :param meta: whether to transfer inhibit and required_for dispositions.
        :param translator: a repository to transform job identifiers by: a job is in the linked
            repository if the source has the job ``await translator.info(job)``.
        :param translate_allow_deletes: whether deleting through the translation does anything.
        :param translate_prefetch_lookup: whether translations are kept in memory.
        :param failed_counts: whether failed jobs start this task, too.
        :raises TaskConfigurationError: if a name is taken, ``output_links`` names no link, or
            the task is this one.
        """
        if not isinstance(output, Linked):
            raise TaskConfigurationError(f"{self.name}: only a task can be plugged, not {output!r}")
        if output is self:
            raise TaskConfigurationError(
                f"{self.name} is plugged into itself, and would wait for its own end"
            )
        wanted = None if output_links is None else _check_link_names(output, output_links)
        plugged: dict[str, tuple[Link, Repository]] = {}
        for name, link in output.links.items():
            transfers = meta and (link.required_for_output or link.inhibits_output)
            if (wanted is not None and name not in wanted) or not (link.is_output or transfers):
                continue
            own_name = name if link.is_output else f"{output.name}_{name}"
            taken = self.links.get(own_name) or plugged.get(own_name, [None])[0]
            if taken is not None:
                others = sorted((wanted or output._outcomes.keys()) - {name})
                raise TaskConfigurationError(
                    f"plugging {output.name}.{name} into {self.name} needs the link name "
                    f"{own_name!r}, which {self.name} has already, for {taken.repo!r}; "
                    + (
                        f"plug with output_links={others}, and link {link.repo!r} by another name"
                        if link.is_output
                        else "give that link another name"
                    )
                )
            repo = link.repo if failed_counts else output.gated(name)
            if translator is not None:
                from pydatatask_core.repository.views.related import RelatedItemRepository

                repo = RelatedItemRepository(
                    repo, translator, translate_allow_deletes, translate_prefetch_lookup
                )
            plugged[own_name] = link, repo
        for own_name, (link, repo) in plugged.items():
            self.link(
                own_name,
                repo,
                is_input=link.is_output,
                inhibits_start=meta and link.inhibits_output,
                required_for_start=link.required_for_output if meta else None,
            )
        self.upstream_tasks.append(output)
        if failed_counts:
            output.failed_counted_by.append(self.name)

    def gated(self, name: str) -> Repository:
        """Give what a task plugged after this one waits for in the place of a link.

        That is a view without the failed jobs for a link that records outcomes, else the linked
        repository itself.

        :param name: the name of the link.
        """
        return self._outcomes.get(name) or self.links[name].repo

    def link_outcomes(self, name: str, repo: Repository, **dispositions: Any) -> None:
        """Link the repository in which this task records how its jobs ended.

        :param name: the name of the link.
        :param repo: a metadata repository.
        :param dispositions: as of :meth:`link`; those of ``done`` by default.
        """
        if isinstance(repo, Repository) and not callable(getattr(repo, "dump", None)):
            raise TaskConfigurationError(
                f"{self.name}.{name}: records are stored in a metadata repository, and {repo!r} "
                "is none"
            )
        usual = {"is_status": True, "inhibits_start": True, "required_for_output": True}
        self.link(name, repo, **(usual | dispositions))
        from pydatatask_core.repository.views.filtered import SucceededRepository

        self._outcomes[name] = SucceededRepository(repo)

    def link_blobs(self, name: str, repo: Repository, **dispositions: Any) -> None:
        """Link a repository from which or to which this task copies whole streams.

        :param name: the name of the link.
        :param repo: a blob repository.
        :param dispositions: as of :meth:`link`.
        :raises TaskConfigurationError: if the repository has no streams, or the name is taken.
        """
        if isinstance(repo, Repository) and not callable(getattr(repo, "open", None)):
            raise TaskConfigurationError(
                f"{self.name}.{name}: streams are stored in a blob repository, and {repo!r} is none"
            )
        self.link(name, repo, **dispositions)

    def outcome_view(self, name: str) -> SucceededRepository:
        """Give the view without failed jobs of a link made by :meth:`link_outcomes`.

        :param name: the name of the link.
        """
        return self._outcomes[name]

    @property
    def outcome_repositories(self) -> list[Repository]:
        """The repositories in which this task records how its jobs ended."""
        return [self.links[name].repo for name in self._outcomes]

    @property
    def outcome_views(self) -> list[SucceededRepository]:
        """Views of these repositories without the jobs that have failed."""
        return list(self._outcomes.values())

    def _links_with(self, disposition: str) -> dict[str, Repository]:
        return {n: link.repo for n, link in self.links.items() if getattr(link, disposition)}

    @property
    def input(self) -> dict[str, Repository]:
        """A mapping from link name to repository for all links marked ``is_input``."""
        return self._links_with("is_input")

    @property
    def output(self) -> dict[str, Repository]:
        """A mapping from link name to repository for all links marked ``is_output``."""
        return self._links_with("is_output")

    @property
    def status(self) -> dict[str, Repository]:
        """A mapping from link name to repository for all links marked ``is_status``."""
        return self._links_with("is_status")

    @property
    def inhibits_start(self) -> dict[str, Repository]:
        """A mapping from link name to repository for all links marked ``inhibits_start``."""
        return self._links_with("inhibits_start")

    @property
    def required_for_start(self) -> dict[str, Repository]:
        """A mapping from link name to repository for all links marked ``required_for_start``."""
        return self._links_with("required_for_start")

    @property
    def inhibits_output(self) -> dict[str, Repository]:
        """A mapping from link name to repository for all links marked ``inhibits_output``."""
        return self._links_with("inhibits_output")

    @property
    def required_for_output(self) -> dict[str, Repository]:
        """A mapping from link name to repository for all links marked ``required_for_output``."""
        return self._links_with("required_for_output")

    @property
    def required_outputs(self) -> dict[str, Repository]:
        """The repositories that a job has to be in, or write to, to have ended well, by link."""
        if self._required_outputs is None:
            self._required_outputs = {
                name: link.repo for name, link in self.links.items() if link.is_required_output
            }
        return self._required_outputs

    @property
    def live_repositories(self) -> list[Repository]:
        """The linked repositories that show which jobs run now, wherever that is known."""
        return [link.repo for link in self.links.values() if link.shows_live_jobs]


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name or name in (".", ".."):
        raise TaskConfigurationError(f"a task needs a name that is a string, not {name!r}")
    if "/" in name or not name.isprintable():
        raise TaskConfigurationError(
            f"the name of a task must not contain slashes or control characters: {name!r}"
        )


def _check_link_names(output: Linked, names: Iterable[str]) -> set[str]:
    wanted = {names} if isinstance(names, str) else set(names)
    unknown = sorted(wanted - output.links.keys())
    if unknown:
        raise TaskConfigurationError(
            f"{output.name} has no link {unknown[0]!r} to plug; it has {', '.join(output.links)}"
        )
    return wanted
