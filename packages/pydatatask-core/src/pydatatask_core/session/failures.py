"""The exceptions to raise when resources fail; no failure is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import SessionError, describe
from pydatatask_core.utils import being_cancelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .resource import SessionResource

__all__ = ["closing_error", "combine_errors"]


def closing_error(
    failures: Sequence[tuple[SessionResource[Any], BaseException]],
) -> BaseException | None:
    """Return one exception for all failures of closing resources, or None if there were none.

    :param failures: each resource that failed, with its exception, in the order of closing.
    """
    errors = [error for _, error in failures]
    for error in errors:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            return error
    faults = [
        (resource, error)
        for resource, error in failures
        if not (isinstance(error, asyncio.CancelledError) and being_cancelled())
    ]
    if not faults:
        return errors[-1] if errors else None
    result = SessionError(
        "; ".join(
            f"resource {resource.__name__!r} failed to close: {describe(error)}"
            for resource, error in faults
        )
    )
    result.__cause__ = faults[0][1]
    if len(faults) > 1:
        result.__cause__ = BaseExceptionGroup(str(result), [error for _, error in faults])
    return result


def combine_errors(error: BaseException, closing: BaseException | None) -> BaseException:
    """Combine the error that ended a session with the error of closing it.

    :param error: the reason for closing: a failed opening, or a cancellation.
    :param closing: the result of ``closing_error``.
    """
    if closing is None:
        return error
    if isinstance(error, asyncio.CancelledError):
        return closing
    if isinstance(error, SessionError) and isinstance(closing, SessionError):
        combined = SessionError(f"{error}; then {closing}")
        combined.__cause__ = ExceptionGroup(str(combined), [error, closing])
        return combined
    error.add_note(f"Closing the session failed as well: {describe(closing)}")
    return error
