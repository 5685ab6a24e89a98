"""Methods that call those of another repository with a translated job."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

from pydatatask_core.utils.call_log import is_coroutine_function, observed
from pydatatask_core.utils.contexts import async_context

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from .related import RelatedItemRepository

__all__ = ["job_parameter", "translate_job_argument"]

_JOB_PARAMETERS = frozenset({"job", "job_id"})
_FIRST_JOB_PARAMETERS = frozenset({"item"})


def job_parameter(value: Any) -> str | None:
    """Return the name of a method's job parameter, or None if there is none.

    :param value: any attribute of a repository.
    """
    if not inspect.ismethod(value) or isinstance(value.__self__, type):
        return None
    parameters = list(inspect.signature(value).parameters)
    if parameters and parameters[0] in _FIRST_JOB_PARAMETERS:
        return parameters[0]
    return next((name for name in parameters if name in _JOB_PARAMETERS), None)


def translate_job_argument(
    repo: RelatedItemRepository, method: Callable[..., Any], parameter: str
) -> Callable[..., Any]:
    """Wrap a method so that its job argument is translated.

    :param repo: the repository that translates.
    :param method: a method of its base.
    :param parameter: the name of the job parameter.
    """
    signature = inspect.signature(method)

    async def bind_translated(
        view: RelatedItemRepository, args: Any, kwargs: Any
    ) -> inspect.BoundArguments:
        bound = signature.bind(*args, **kwargs)
        if parameter in bound.arguments:
            bound.arguments[parameter] = await view.require_translation(bound.arguments[parameter])
        return bound

    @functools.wraps(method)
    async def generate(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        bound = await bind_translated(repo, args, kwargs)
        async for value in method(*bound.args, **bound.kwargs):
            yield value

    @functools.wraps(method)
    @async_context
    async def manage(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, None]:
        bound = await bind_translated(repo, args, kwargs)
        async with method(*bound.args, **bound.kwargs) as value:
            yield value

    @observed
    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        # `describe_call` finds the repository in the variables of this function.
        bound = await bind_translated(repo, args, kwargs)
        return await method(*bound.args, **bound.kwargs)

    @functools.wraps(method)
    def call_now(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        if parameter in bound.arguments:
            bound.arguments[parameter] = repo.cached_translation(bound.arguments[parameter])
        return method(*bound.args, **bound.kwargs)

    if inspect.isasyncgenfunction(method):
        return generate
    if is_coroutine_function(method):
        return call
    if inspect.isasyncgenfunction(inspect.unwrap(method)):
        return manage  # a generator function wrapped by async_context
    return call_now
