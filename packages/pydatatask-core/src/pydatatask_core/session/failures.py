"""What to raise when resources fail, so that nothing is swallowed."""

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
    """Make one exception of what happened when resources were closed; None if all went well.

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
    """Join what ended a session with what then went wrong on closing it.

    :param error: why it is closed: an opening that failed, or a cancellation.
    :param closing: what ``closing_error`` made of the closing.
    """
    if closing is None:
        return error
    if isinstance(error, asyncio.CancelledError):
        return closing
    if isinstance(error, SessionError) and isinstance(closing, SessionError):
        combined = SessionError(f"{error}; then {closing}")
        combined.__cause__ = ExceptionGroup(str(combined), [error, closing])
        return combined
    error.add_note(f"Closing the session failed, too: {describe(closing)}")
    return error
