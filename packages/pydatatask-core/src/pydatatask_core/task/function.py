"""Tasks whose body is a Python function."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydatatask_core.errors import TaskConfigurationError, describe, type_name
from pydatatask_core.repository.job_scope import JobScope

from .base import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydatatask_core.repository.base import Repository

__all__ = ["FunctionBody", "FunctionTask", "FunctionTaskProtocol", "describe_failure"]

MAX_MESSAGE_LENGTH = 4096
"""The maximum number of characters of an exception's text in a record; the first ones are kept."""

MAX_KEPT_TASKS = 32
"""The number of finished asyncio tasks of bodies that are kept alive. Libraries key state by
``id(current_task())``, which the task of the next job must not reuse at once."""

MAX_TRACEBACK_LENGTH = 64 * 1024
"""The maximum number of characters of a traceback in a record; the last ones are kept."""

Self = TypeVar("Self", bound="FunctionTask")


class FunctionTaskProtocol(Protocol):
    """The signature of a task's body: the job, then the links that its parameters name."""

    def __call__(self, job: str, **links: Any) -> Any:
        """Run the body for one job."""


class FunctionBody:
    """The function that a task runs for each job.

    :param task: the task.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._recent: deque[asyncio.Task[BaseException | None]] = deque(maxlen=MAX_KEPT_TASKS)

    def check_missing(self, current: Callable[..., Any] | None, func: object) -> None:
        """Check that a task has no body yet.

        :param current: its body.
        :param func: the function that is to become its body.
        :raises TaskConfigurationError: if it has one.
        """
        if current is not None:
            raise TaskConfigurationError(
                f"{self._task.name} has a body already, {_name(current)}; create another task for "
                f"{_name(func)}"
            )

    def checked(self, func: Any) -> Callable[..., Any]:
        """Return a function if it can be the body.

        :param func: the function.
        :raises TaskConfigurationError: if it is not an ``async def`` function.
        """
        called = type(func).__call__ if callable(func) else None
        if not any(map(inspect.iscoroutinefunction, (inspect.unwrap(func), called))):
            raise TaskConfigurationError(
                f"the body of {self._task.name} has to be an `async def` function, not {func!r}"
            )
        body: Callable[..., Any] = func
        return body

    def new_scope(self, job: str) -> JobScope:
        """Create the scope in which the body runs for one job."""
        if self._task.shared_outputs is None:
            return JobScope(self._task.name, job)
        return JobScope(
            self._task.name, job, partial(self._task.shared_outputs.claim, self._task, job)
        )

    def bind_links(self, func: Callable[..., Any] | None) -> dict[str, Repository]:
        """Return the linked repository of each parameter of the body except the first, the job.

        :raises TaskConfigurationError: if there is no body, or a parameter is not a link.
        """
        if func is None:
            raise TaskConfigurationError(
                f"{self._task.name} has no body: use the task as a decorator of an `async def` "
                "function, or pass it as func"
            )
        parameters = list(inspect.signature(func).parameters.values())
        if not parameters or parameters[0].kind not in _POSITIONAL:
            raise TaskConfigurationError(
                f"the body of {self._task.name}, {_name(func)}, has to take the job as its first "
                "parameter"
            )
        job = parameters[0]
        bound: dict[str, Repository] = {}
        for parameter in parameters[1:]:
            if parameter.kind is parameter.VAR_KEYWORD:
                bound = {name: link.repo for name, link in self._task.links.items()} | bound
                if job.kind is job.POSITIONAL_OR_KEYWORD:
                    bound.pop(job.name, None)  # this parameter receives the job
            elif parameter.name in self._task.links and parameter.kind in _BY_NAME:
                bound[parameter.name] = self._task.links[parameter.name].repo
            elif parameter.kind is parameter.VAR_POSITIONAL:
                continue
            elif parameter.default is parameter.empty:
                known = ", ".join(sorted(self._task.links)) or "none"
                raise TaskConfigurationError(
                    f"the body of {self._task.name} has a parameter {parameter.name!r}, which is "
                    f"not a link of the task; its links are: {known}"
                )
        return bound

    async def run(
        self, func: Callable[..., Any], scope: JobScope, links: Mapping[str, Any]
    ) -> BaseException | None:
        """Run an async body in its own asyncio task and context.

        Neither a context variable nor a cancellation of one job ever reaches another job.

        :param func: the body.
        :param scope: the scope of the job; it has ended when this returns.
        :param links: the keyword arguments of the body.
        :return: the exception that the body raised; None if it succeeded.
        :raises asyncio.CancelledError: if the caller is being cancelled and the body did not
            succeed. The outcome of the job is then unknown.
        """
        caller = asyncio.current_task()
        assert caller is not None
        before = caller.cancelling()
        attempt = _run_attempt(func, scope, links)
        body = asyncio.get_running_loop().create_task(attempt, name=scope.job)
        self._recent.append(body)
        try:
            error = await body
        except asyncio.CancelledError as e:  # cancelled before it could return its exception
            error = e
        if error is not None and caller.cancelling() > before:
            raise asyncio.CancelledError from error
        return error


class FunctionTask(Task):
    """Base class of tasks with a function as body, whose parameters are matched with links.

    A subclass calls ``super().__init__`` and sets ``func`` if it received one.
    """

    func: Callable[..., Any] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._function = FunctionBody(self)

    def __call__(self: Self, func: Callable[..., Any]) -> Self:
        """Set the function as the body of this task, so that the task works as a decorator."""
        self._function.check_missing(self.func, func)
        self.func = self._check_body(func)
        return self

    def _check_body(self, func: Any) -> Callable[..., Any]:
        return self._function.checked(func)

    def new_scope(self, job: str) -> JobScope:
        """Create the scope in which the body runs for one job."""
        return self._function.new_scope(job)

    def bind_links(self) -> dict[str, Repository]:
        """Return the linked repository of each parameter of the body except the first, the job.

        :raises TaskConfigurationError: if there is no body, or a parameter is not a link.
        """
        return self._function.bind_links(self.func)

    async def run_body(self, scope: JobScope, links: Mapping[str, Any]) -> BaseException | None:
        """Run an async body in its own asyncio task and context; see :meth:`FunctionBody.run`.

        :param scope: the scope of the job; it has ended when this returns.
        :param links: the keyword arguments of the body.
        :return: the exception that the body raised; None if it succeeded.
        """
        assert self.func is not None
        return await self._function.run(self.func, scope, links)


async def _run_attempt(
    func: Callable[..., Any], scope: JobScope, links: Mapping[str, Any]
) -> BaseException | None:
    """Run a body and return the exception that it raised.

    The exception is returned because an asyncio task lets SystemExit escape from the event loop.
    If the loop is gone, a GeneratorExit ends both this and the caller, which then returns nothing.
    """
    scope.enter()
    try:
        await func(scope.job, **links)
        if scope.calls and scope.has_unfinished_work():
            await scope.wait_for_calls(links)
    except KeyboardInterrupt:
        raise
    except BaseException as e:  # noqa: BLE001 - anything else is a failure of this job
        scope.close_unawaited_calls(e, links)
        return e
    finally:
        scope.ended = True  # the context ends with this task: there is nothing to reset
    return None


_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.VAR_POSITIONAL,
)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def describe_failure(error: BaseException) -> dict[str, str]:
    """Describe an exception for a ``done`` record: in one line, and with its traceback.

    The texts can be encoded in UTF-8, even if those of the exception cannot.
    """
    try:
        trace = "".join(traceback.format_exception(error))
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - more than the __str__ of a class may be broken
        trace = "".join(traceback.format_tb(error.__traceback__))
    text = f"{type_name(error)}: {describe(error)[:MAX_MESSAGE_LENGTH]}"
    if "coroutine" in text:  # a missing `await`: the note names the place
        text = " ".join([text.rstrip("."), *_notes(error)])
    return {
        "exception": _writable(text),
        "traceback": _writable(trace[-MAX_TRACEBACK_LENGTH:]),
    }


def _notes(error: BaseException) -> list[str]:
    """Return the notes of an exception, in parentheses."""
    notes = getattr(error, "__notes__", None)
    return [f"({str(note)[:MAX_MESSAGE_LENGTH].rstrip('.')})" for note in notes or ()]


def _writable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _name(func: Any) -> str:
    return getattr(func, "__qualname__", None) or repr(func)
