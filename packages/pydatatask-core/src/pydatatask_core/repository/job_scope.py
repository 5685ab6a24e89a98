"""What the body of a job does to repositories while it runs.

A task runs a body inside a :class:`JobScope`. Every repository reports to it what is published,
and every call of a coroutine function of ours is noted, so that a forgotten ``await`` is found.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydatatask_core.errors import NotAwaitedError
from pydatatask_core.utils.calls import CallLog, current_log, observed
from pydatatask_core.utils.writer import AtomicWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import Token

    from .base import Repository

__all__ = [
    "JobScope",
    "Publication",
    "current_scope",
    "observe_methods",
    "reporting",
    "stores_written",
]

F = TypeVar("F", bound="Callable[..., Any]")


class JobScope(CallLog):
    """Publications and calls of one job's body.

    :param task: the name of the task, for messages.
    :param job: the job.
    :param before_publish: called with the repository and the key before each publication by the
        body; it refuses by raising. A publication may report more than once, if one method of a
        repository calls another.
    """

    # Defaults of the class, because a scope is created for every job.
    before_publish: Callable[[Repository, str], None] | None = None
    ended = False
    _written: dict[int, Repository] = {}  # noqa: RUF012 - replaced before it is written to
    _places: frozenset[str] = frozenset()
    _own: tuple[Repository, ...] = ()
    _own_places: frozenset[str] = frozenset()

    def __init__(
        self,
        task: str,
        job: str,
        before_publish: Callable[[Repository, str], None] | None = None,
    ) -> None:
        super().__init__()
        self.task = task
        self.job = job
        if before_publish is not None:
            self.before_publish = before_publish

    def enter(self) -> Token[Any]:
        """Make this the scope of the current context; give the token to :meth:`leave`."""
        return current_log.set(self)

    def leave(self, token: Token[Any]) -> None:
        """End the scope: whatever still runs in its context can publish nothing any more."""
        self.ended = True
        current_log.reset(token)

    # -- publications ----------------------------------------------------------------------------

    def publishing(self, repository: Repository, job: str) -> None:
        """Check a publication that is about to take effect.

        :param repository: the repository that holds the data, not a view of it.
        :param job: the key.
        :raises NotAwaitedError: if the body has ended.
        """
        if self.ended:
            raise NotAwaitedError(
                f"job {self.job!r} of {self.task} has ended, so {job!r} is not written to "
                f"{repository!r} any more; await every asyncio task that the body creates"
            )
        if self.before_publish is not None:
            self.before_publish(repository, job)
        self.note_key(repository, job)

    def note_key(self, repository: Repository, job: str) -> None:
        """Note whether a key that is about to be published is the job's own.

        :param repository: the repository that holds the data.
        :param job: the key.
        """
        if job == self.job and not any(own is repository for own in self._own):
            self._own += (repository,)

    def published(self, repository: Repository) -> None:
        """Note that a key of a repository was published.

        :param repository: the repository that holds the data.
        """
        # By id, because a third party's class need not be hashable; the values keep them alive.
        if not self._written:
            self._written = {}
        self._written[id(repository)] = repository

    def wrote_to(self, repository: Repository) -> bool:
        """Return whether the body published any key to a repository, or to one below a view.

        Another object that stands for the same place counts, too.

        :param repository: any repository.
        """
        if not self._written and not self._places:
            return False
        stores = list(stores_written(repository))
        if any(id(store) in self._written for store in stores):
            return True
        return not self.places_written().isdisjoint(store.identity for store in stores)

    def wrote_own_key(self, repository: Repository) -> bool:
        """Return whether the body published the job's own key to a repository, or below a view.

        :param repository: any repository.
        """
        written = self._written
        for own in self._own:
            if own is repository:  # mostly, and it is asked for each job
                return id(own) in written
        if not self._own and not self._own_places:
            return False
        stores = list(stores_written(repository))
        if any(own is store and id(own) in written for own in self._own for store in stores):
            return True
        return not self.places_of_own_key().isdisjoint(store.identity for store in stores)

    def places_of_own_key(self) -> frozenset[str]:
        """Return the identities of the repositories to which the job's own key was published."""
        places = (own.identity for own in self._own if id(own) in self._written)
        return self._own_places.union(place for place in places if place is not None)

    def places_written(self) -> frozenset[str]:
        """Return the identities of the repositories that were published to, as far as known."""
        places = (repository.identity for repository in self._written.values())
        return self._places.union(place for place in places if place is not None)

    def include(self, places: frozenset[str], own: frozenset[str] = frozenset()) -> None:
        """Add what a body has published to in another process.

        :param places: what :meth:`places_written` returned there.
        :param own: what :meth:`places_of_own_key` returned there.
        """
        self._places |= places
        self._own_places |= own


def current_scope() -> JobScope | None:
    """Return the scope of the job whose body runs in this context, or None."""
    return cast("JobScope | None", current_log.get())  # nothing else makes logs


def stores_written(repository: Repository) -> Iterator[Repository]:
    """Iterate a repository and, if it is a view, those that are written through it.

    :param repository: any repository.
    """
    from .listing import Combinator

    yield repository
    if isinstance(repository, Combinator):
        for child in repository.written_children:
            yield from stores_written(child)


class Publication:
    """Reports to a scope when a stream that was opened in it publishes.

    :param scope: the scope.
    :param repository: the repository.
    :param job: the key.
    """

    __slots__ = ("job", "repository", "scope")

    def __init__(self, scope: JobScope, repository: Repository, job: str) -> None:
        self.scope = scope
        self.repository = repository
        self.job = job

    def begin(self) -> None:
        """Check the publication, before it takes effect."""
        self.scope.publishing(self.repository, self.job)

    def end(self) -> None:
        """Note the publication, which has taken effect."""
        self.scope.published(self.repository)


def observe_methods(cls: type) -> None:
    """Wrap the coroutine methods that a class defines, so that its job's scope learns of calls.

    ``dump`` and ``mkdir`` also report what they publish, and ``open`` what its streams publish.

    :param cls: a class of repositories.
    """
    for name, function in list(vars(cls).items()):
        if name.startswith("_") or not inspect.iscoroutinefunction(function):
            continue
        if not inspect.isfunction(function) or hasattr(function, "_is_observed"):
            continue
        run = None if hasattr(function, "_reports") else _RUNS.get(name)
        wrapper: Any = observed(function, run)
        wrapper._is_observed = True
        setattr(cls, name, wrapper)


def reporting(method: F) -> F:
    """Declare that a ``dump`` reports to the scope itself, which is faster.

    :param method: the method.
    """
    method._reports = True  # type: ignore[attr-defined]
    return method


async def _publish(function: Any, self: Repository, *args: Any, **kwargs: Any) -> Any:
    scope = current_scope()
    if scope is None:
        return await function(self, *args, **kwargs)
    scope.publishing(self, _job_of(args, kwargs))
    result = await function(self, *args, **kwargs)
    scope.published(self)
    return result


async def _open(function: Any, self: Repository, *args: Any, **kwargs: Any) -> Any:
    stream = await function(self, *args, **kwargs)
    scope = current_scope()
    mode = kwargs["mode"] if "mode" in kwargs else "".join(args[1:2])
    if scope is None or not mode.startswith("w"):
        return stream
    if isinstance(stream, AtomicWriter):
        if stream.publication is None:
            stream.publication = Publication(scope, self, _job_of(args, kwargs))
    else:
        # A third party's stream does not report when it publishes.
        scope.note_key(self, _job_of(args, kwargs))
        scope.published(self)
    return stream


_RUNS = {"dump": _publish, "mkdir": _publish, "open": _open}
"""What runs a method inside a scope, if more than the call is noted."""


def _job_of(args: Any, kwargs: Any) -> str:
    """Return the job of a call, which is the first argument by contract."""
    job: str = kwargs["job"] if "job" in kwargs else args[0]
    return job
