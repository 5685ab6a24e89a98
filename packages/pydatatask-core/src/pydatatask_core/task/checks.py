"""Refusing what a task cannot be configured with."""

from __future__ import annotations

from datetime import timedelta

from pydatatask_core.errors import TaskConfigurationError

__all__ = ["checked_seconds"]


def checked_seconds(owner: str, what: str, value: timedelta | float | None) -> float | None:
    """Give a time limit in seconds; None if there is none.

    :param owner: the name of the task, for the message.
    :param what: the name of the parameter, for the message.
    :param value: what was given, a timedelta or seconds.
    :raises TaskConfigurationError: if it is no time above 0.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds is not None and (isinstance(seconds, bool) or not seconds > 0):
        raise TaskConfigurationError(f"{owner}: {what} has to be a time above 0, not {value!r}")
    return seconds
