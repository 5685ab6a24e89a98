"""Tracking of a job function's operations on repositories while it runs.

A task runs a job's function inside a :class:`JobScope`. Every repository reports its publications
to the scope, and every call of our coroutine functions is recorded, so that a missing ``await`` is
detected.
"""

from __future__ import annotations

import asyncio
import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from pydatatask_core.errors import NotAwaitedError
from pydatatask_core.utils.call_log import CallLog, current_log, observe_methods
from pydatatask_core.utils.writer import AtomicWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextvars import Token
    from types import CoroutineType

    from .base import Repository

__all__ = [
    "JobScope",
    "Publication",
    "current_scope",
    "instrument_methods",
    "written_stores",
]


class JobScope(CallLog):
    """The publications and calls of one job's function.

    :param task: the name of the task, for messages.
    :param job: the job.
    :param before_publish: called with the repository and the key before each publication by the
        function; raises to reject it. It may be called more than once per publication, if one
        method of a repository calls another.
    """

    # Defaults on the class, because a scope is created for every job.
    before_publish: Callable[[Repository, str], None] | None = None
    ended = False
    _published_stores: dict[int, Repository] = {}  # noqa: RUF012 - replaced before it is written to
    _open_streams: tuple[AtomicWriter[Any], ...] = ()
    _remote_identities: frozenset[str] = frozenset()
    _own_key_stores: tuple[Repository, ...] = ()
    _remote_own_key_identities: frozenset[str] = frozenset()

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
        """Set this scope in the current context, and return the token for :meth:`leave`."""
        return current_log.set(self)

    def leave(self, token: Token[Any]) -> None:
        """End the scope: anything still running in its context can no longer publish."""
        self.ended = True
        current_log.reset(token)

    # -- publications ----------------------------------------------------------------------------

    def check_publication(self, repository: Repository, job: str) -> None:
        """Check a publication that is about to take effect.

        :param repository: the repository that holds the data, not a view of it.
        :param job: the key.
        :raises NotAwaitedError: if the function has ended.
        """
        if self.ended:
            raise NotAwaitedError(
                f"job {self.job!r} of {self.task} has ended, so {job!r} can no longer be written "
                f"to {repository!r}; await every asyncio task that the function creates"
            )
        if self.before_publish is not None:
            self.before_publish(repository, job)
        self.record_own_key(repository, job)

    def record_own_key(self, repository: Repository, job: str) -> None:
        """Record the repository if the key that is about to be published is the job's own.

        :param repository: the repository that holds the data.
        :param job: the key.
        """
        if job == self.job and not any(
            own_store is repository for own_store in self._own_key_stores
        ):
            self._own_key_stores += (repository,)

    def record_publication(self, repository: Repository) -> None:
        """Record that a key of a repository was published.

        :param repository: the repository that holds the data.
        """
        # By id, because a third party's class may not be hashable; the values keep them alive.
        if not self._published_stores:
            self._published_stores = {}
        self._published_stores[id(repository)] = repository

    def wrote_to(self, repository: Repository) -> bool:
        """Return True if the function published any key to a repository, directly or by a view.

        Publications to another repository object with the same identity count as well.

        :param repository: any repository.
        """
        if not self._published_stores and not self._remote_identities:
            return False
        stores = list(written_stores(repository))
        if any(id(store) in self._published_stores for store in stores):
            return True
        return not self.published_identities().isdisjoint(store.identity for store in stores)

    def wrote_own_key(self, repository: Repository) -> bool:
        """Return True if the function published the job's own key, directly or by a view.

        :param repository: any repository.
        """
        written = self._published_stores
        for own_store in self._own_key_stores:
            if own_store is repository:  # the usual case; this is called for each job
                return id(own_store) in written
        if not self._own_key_stores and not self._remote_own_key_identities:
            return False
        stores = list(written_stores(repository))
        if any(
            own_store is store and id(own_store) in written
            for own_store in self._own_key_stores
            for store in stores
        ):
            return True
        return not self.identities_with_own_key().isdisjoint(store.identity for store in stores)

    def identities_with_own_key(self) -> frozenset[str]:
        """Return the identities of the repositories to which the job's own key was published."""
        identities = (
            own_store.identity
            for own_store in self._own_key_stores
            if id(own_store) in self._published_stores
        )
        return self._remote_own_key_identities.union(
            identity for identity in identities if identity is not None
        )

    def published_identities(self) -> frozenset[str]:
        """Return the known identities of the repositories that were published to."""
        identities = (repository.identity for repository in self._published_stores.values())
        return self._remote_identities.union(
            identity for identity in identities if identity is not None
        )

    def add_published(
        self, identities: frozenset[str], with_own_key: frozenset[str] = frozenset()
    ) -> None:
        """Add publications that the function made in another process.

        :param identities: the result of :meth:`published_identities` there.
        :param with_own_key: the result of :meth:`identities_with_own_key` there.
        """
        self._remote_identities |= identities
        self._remote_own_key_identities |= with_own_key

    def record_stream(self, stream: AtomicWriter[Any]) -> None:
        """Record that a stream was opened for writing.

        :param stream: the stream, whose ``publication`` reports to this scope.
        """
        # Ended streams are discarded, because a function may write very many.
        self._open_streams = (*(other for other in self._open_streams if other.is_open), stream)

    # -- the end of the body ---------------------------------------------------------------------

    def has_unfinished_work(self) -> bool:
        """Return True if a call has not ended, or a stream for writing is open."""
        return bool(self.unfinished()) or any(stream.is_open for stream in self._open_streams)

    async def wait_for_calls(self, links: Mapping[str, Repository]) -> None:
        """Wait for calls that the function runs as asyncio tasks, at its end.

        :param links: the repositories passed to the function, by name, for messages.
        :raises NotAwaitedError: if a call was never awaited, or runs inside of another asyncio
            task and may publish something, or if a stream was not closed.
        :raises Exception: any exception of such a call.
        """
        while own_store := self._asyncio_tasks():
            await asyncio.wait(own_store)
            for task in own_store:
                if not task.cancelled():
                    task.result()
        await asyncio.sleep(0)  # for calls awaited by an asyncio task that has not started
        self.check_awaited(links)

    def _asyncio_tasks(self) -> list[asyncio.Task[Any]]:
        """Return the asyncio tasks that consist of one call of the function."""
        calls = self.unfinished()
        return [task for task in asyncio.all_tasks() if task.get_coro() in calls] if calls else []

    def close_unawaited_calls(self, error: BaseException, links: Mapping[str, Repository]) -> None:
        """Close the calls that never started, and add a note about them to an error.

        :param error: the exception of the function, which the missing ``await`` may have caused.
        :param links: the repositories passed to the function, by name.
        """
        calls = self.unfinished()
        created = [c for c in calls if inspect.getcoroutinestate(c) == inspect.CORO_CREATED]
        if created:
            with suppress(RuntimeError):  # without a running loop there are no asyncio tasks
                begun = {task.get_coro() for task in asyncio.all_tasks()}
                created = [call for call in created if call not in begun]
        if created:
            named = _join_calls([describe_call(call, links) for call in created])
            error.add_note(f"{named} was called but not awaited.")
        for call in created:
            call.close()

    def check_awaited(self, links: Mapping[str, Repository]) -> None:
        """Check that every call of the function has ended, and close those that never started.

        :param links: the repositories passed to the function, by name, for messages.
        :raises NotAwaitedError: with the calls that have not ended, or the streams that are open.
        """
        unawaited: list[str] = []
        running: list[str] = []
        for call in self.unfinished():
            if inspect.getcoroutinestate(call) == inspect.CORO_CREATED:
                unawaited.append(describe_call(call, links))
                call.close()
            elif call.__qualname__.rpartition(".")[2] not in _READ_METHODS:
                running.append(describe_call(call, links))
        if unawaited:
            raise NotAwaitedError(
                f"{_join_calls(unawaited)} was called but never awaited, so it did nothing; "
                "write `await` before it"
            )
        if running:
            raise NotAwaitedError(
                f"{_join_calls(running)} had not ended when the function returned; await the "
                "asyncio task that it runs in"
            )
        unclosed = [f"{stream!r}" for stream in self._open_streams if stream.is_open]
        if unclosed:
            raise NotAwaitedError(
                f"{_join_calls(unclosed)} was not closed when the function returned, so its data "
                "is not published; write `async with await repository.open(...) as stream`, and "
                "await every asyncio task that writes to a stream"
            )


_READ_METHODS = frozenset(
    {"contains", "digest", "info", "info_all", "info_many", "keys", "read", "readline", "translate"}
)
"""Methods that change nothing, so that a job may end before they do."""

MAX_NAMED_CALLS = 3


def _join_calls(calls: list[str]) -> str:
    named = ", ".join(f"`{call}`" for call in calls[:MAX_NAMED_CALLS])
    rest = len(calls) - MAX_NAMED_CALLS
    return f"{named} (and {rest} more)" if rest > 0 else named


def describe_call(call: CoroutineType[Any, Any, Any], links: Mapping[str, Repository]) -> str:
    """Return the text of a call that has not ended: the link or object, the method and the job.

    :param call: the coroutine that it created.
    :param links: repositories by the names to use for them.
    """
    values = call.cr_frame.f_locals if call.cr_frame is not None else {}
    owner = values.get("self", values.get("repo"))
    name = next((name for name, repo in links.items() if repo is owner), repr(owner))
    arguments = [values["job"]] if "job" in values else [*values.get("args", ())][:1]
    shown = ", ".join(map(repr, arguments))
    return f"{name}.{call.__qualname__.rpartition('.')[2]}({shown})"


def current_scope() -> JobScope | None:
    """Return the scope of the job whose function runs in this context, or None."""
    return cast("JobScope | None", current_log.get())  # only job scopes are set as logs


def written_stores(repository: Repository) -> Iterator[Repository]:
    """Yield a repository and, if it is a view, the repositories that are written through it.

    :param repository: any repository.
    """
    from .snapshot import View

    yield repository
    if isinstance(repository, View):
        for child in repository.written_children:
            yield from written_stores(child)


class Publication:
    """Reports the publication of a stream to the scope in which it was opened.

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
        """Check the publication that is about to take effect."""
        self.scope.check_publication(self.repository, self.job)

    def end(self) -> None:
        """Record the publication that has taken effect."""
        self.scope.record_publication(self.repository)


def instrument_methods(cls: type) -> None:
    """Wrap the coroutine methods that a class of repositories defines to report to scopes.

    A scope records each call, the publications of ``dump`` and ``mkdir``, and those of the streams
    that ``open`` returns.

    :param cls: the class.
    """
    observe_methods(cls, _WRAPPERS)


async def _publish(function: Any, self: Repository, /, *args: Any, **kwargs: Any) -> Any:
    scope = current_scope()
    if scope is None:
        return await function(self, *args, **kwargs)
    scope.check_publication(self, _job_argument(args, kwargs))
    result = await function(self, *args, **kwargs)
    scope.record_publication(self)
    return result


async def _open(function: Any, self: Repository, /, *args: Any, **kwargs: Any) -> Any:
    stream = await function(self, *args, **kwargs)
    scope = current_scope()
    mode = kwargs["mode"] if "mode" in kwargs else "".join(args[1:2])
    if scope is None or not mode.startswith("w"):
        return stream
    if isinstance(stream, AtomicWriter):
        if stream.publication is None:
            stream.publication = Publication(scope, self, _job_argument(args, kwargs))
            scope.record_stream(stream)
    else:
        # A third party's stream does not report when it publishes.
        scope.record_own_key(self, _job_argument(args, kwargs))
        scope.record_publication(self)
    return stream


_WRAPPERS = {"dump": _publish, "mkdir": _publish, "open": _open}
"""Wrappers of methods within a scope, if more than the call is recorded."""


def _job_argument(args: Any, kwargs: Any) -> str:
    """Return the job of a call, which is the first argument by convention."""
    job: str = kwargs["job"] if "job" in kwargs else args[0]
    return job
