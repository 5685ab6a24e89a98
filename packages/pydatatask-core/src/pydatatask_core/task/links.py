"""The links between tasks and repositories."""

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
    """The links of a task, and the operations on them.

    :param name: the name of the task.
    :param ready: the jobs to launch, if the links do not determine them.
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
        """The length up to which every alphanumeric id is recordable; -1 if not known yet."""
        self._required_outputs: dict[str, Repository] | None = None
        self._live_repositories: list[Repository] | None = None
        self._outcomes: dict[str, SucceededRepository] = {}
        self.upstream_tasks: list[Linked] = []
        """The tasks that are plugged into this one."""
        self.failed_counted_by: list[str] = []
        """The tasks that failed jobs of this one start, too."""

    @property
    def ready(self) -> Repository:
        """The repository of the jobs to launch.

        Unless one was passed to the constructor, it is
        ``AND(*required_for_start, NOT(OR(*inhibits_start)))``.
        """
        if self._ready is not None:
            return self._ready
        if self._default_ready is None:
            # Views are imported only where one is needed, so that defining a task is cheap.
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
        """True if readiness follows from the links alone."""
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

        :param name: the name of the link in templates and function parameters.
        :param repo: the repository to link.
        :param is_input: whether it contains data that the task consumes.
        :param is_output: whether the task writes to it.
        :param is_status: whether the task keeps data about the state of its jobs in it.
        :param inhibits_start: whether a job in it is not launched.
        :param required_for_start: whether only jobs in it are launched; defaults to ``is_input``.
        :param inhibits_output: whether it becomes ``inhibits_start`` in tasks plugged after this.
        :param required_for_output: whether it becomes ``required_for_start`` in tasks plugged
            after this; defaults to ``is_output``.
        :param shared: whether other tasks write to the same store on purpose. If all links to the
            store set it, opening the pipeline does not warn about the store.
        :param optional: whether a job may succeed without this output. Otherwise a job that ends
            without an output that is required for output has failed. In either case, a task
            plugged after this one starts only for jobs that have the output.
        :raises TaskConfigurationError: if the name is taken, or ``repo`` is not a repository.
        """
        self._check_link(name, repo)
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
        self._forget_derived()

    def _forget_derived(self) -> None:
        """Discard the cached values that depend on the links."""
        self._default_ready = None
        self._required_outputs = self._live_repositories = None
        self._max_plain_length = -1

    def _check_link(self, name: object, repo: object) -> None:
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

        Outputs keep the names of their links; other links that are required for output or inhibit
        it are named ``<task>_<link>``. A failed job does not start this task: ``done`` is replaced
        by a view without the failed jobs.

        :param output: the task to plug into this one.
        :param output_links: the names of the only links to use, including ``done`` if this task
            is to wait for it.
        :param meta: whether to transfer the inhibit and required_for dispositions.
        :param translator: a repository that translates job identifiers: a job is in the linked
            repository if the source has the job ``await translator.info(job)``.
        :param translate_allow_deletes: whether deleting through the translation has an effect.
        :param translate_prefetch_lookup: whether translations are kept in memory.
        :param failed_counts: whether failed jobs start this task, too.
        :raises TaskConfigurationError: if a name is taken, ``output_links`` names an unknown link,
            or ``output`` is this task.
        """
        for own_name, name in self._names_to_plug(output, output_links, meta).items():
            link = output.links[name]
            repo = link.repo if failed_counts else output.gated(name)
            if translator is not None:
                from pydatatask_core.repository.views.related import RelatedItemRepository

                repo = RelatedItemRepository(
                    repo, translator, translate_allow_deletes, translate_prefetch_lookup
                )
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

    def _names_to_plug(
        self, output: Linked, output_links: Iterable[str] | None, meta: bool
    ) -> dict[str, str]:
        """Return the links of a task to plug into this one, by their names in this one."""
        if not isinstance(output, Linked):
            raise TaskConfigurationError(f"{self.name}: only a task can be plugged, not {output!r}")
        if output is self:
            raise TaskConfigurationError(
                f"{self.name} is plugged into itself, and would wait for itself to finish"
            )
        wanted = None if output_links is None else _check_link_names(output, output_links)
        names: dict[str, str] = {}
        for name, link in output.links.items():
            transfers = meta and (link.required_for_output or link.inhibits_output)
            if (wanted is not None and name not in wanted) or not (link.is_output or transfers):
                continue
            own_name = name if link.is_output else f"{output.name}_{name}"
            if own_name in names or own_name in self.links:
                taken = output.links[names[own_name]] if own_name in names else self.links[own_name]
                others = sorted((wanted or output._outcomes.keys()) - {name})
                raise TaskConfigurationError(
                    f"plugging {output.name}.{name} into {self.name} needs the link name "
                    f"{own_name!r}, which {self.name} uses already, for {taken.repo!r}; "
                    + (
                        f"plug with output_links={others}, and link {link.repo!r} by another name"
                        if link.is_output
                        else "rename that link"
                    )
                )
            names[own_name] = name
        return names

    def gated(self, name: str) -> Repository:
        """Return the repository that a task plugged after this one waits for, for a link.

        This is a view without the failed jobs if the link records outcomes, otherwise the linked
        repository itself.

        :param name: the name of the link.
        """
        return self._outcomes.get(name) or self.links[name].repo

    def link_outcomes(self, name: str, repo: Repository, **dispositions: Any) -> None:
        """Link the repository in which this task records the outcomes of its jobs.

        :param name: the name of the link.
        :param repo: a metadata repository.
        :param dispositions: as for :meth:`link`; by default those of ``done``.
        """
        if isinstance(repo, Repository) and not callable(getattr(repo, "dump", None)):
            raise TaskConfigurationError(
                f"{self.name}.{name}: records need a metadata repository, which {repo!r} is not"
            )
        usual = {"is_status": True, "inhibits_start": True, "required_for_output": True}
        self.link(name, repo, **(usual | dispositions))
        from pydatatask_core.repository.views.filtered import SucceededRepository

        self._outcomes[name] = SucceededRepository(repo)

    def link_blobs(self, name: str, repo: Repository, **dispositions: Any) -> None:
        """Link a blob repository that this task reads or writes as streams.

        :param name: the name of the link.
        :param repo: a blob repository.
        :param dispositions: as for :meth:`link`.
        :raises TaskConfigurationError: if ``repo`` is not a blob repository, or the name is taken.
        """
        if isinstance(repo, Repository) and not callable(getattr(repo, "open", None)):
            raise TaskConfigurationError(
                f"{self.name}.{name}: streams need a blob repository, which {repo!r} is not"
            )
        self.link(name, repo, **dispositions)

    def outcome_view(self, name: str) -> SucceededRepository:
        """Return the view without failed jobs of a link created by :meth:`link_outcomes`.

        :param name: the name of the link.
        """
        return self._outcomes[name]

    @property
    def outcome_repositories(self) -> list[Repository]:
        """The repositories in which this task records the outcomes of its jobs."""
        return [self.links[name].repo for name in self._outcomes]

    @property
    def outcome_views(self) -> list[SucceededRepository]:
        """The views without failed jobs of :attr:`outcome_repositories`."""
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
        """The repositories that a job has to be in, or write to, to succeed, by link name."""
        if self._required_outputs is None:
            self._required_outputs = {
                name: link.repo for name, link in self.links.items() if link.is_required_output
            }
        return self._required_outputs

    @property
    def live_repositories(self) -> list[Repository]:
        """The linked repositories that hold the jobs that run now."""
        if self._live_repositories is None:
            self._live_repositories = [
                link.repo for link in self.links.values() if link.shows_live_jobs
            ]
        return self._live_repositories


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
