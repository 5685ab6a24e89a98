"""Validation of task parameters."""

from __future__ import annotations

from datetime import timedelta
from numbers import Real
from typing import TYPE_CHECKING, TypeGuard

from pydatatask_core.errors import TaskConfigurationError

if TYPE_CHECKING:
    from .template import Quoting

__all__ = ["checked_quoting", "is_number", "parse_seconds", "parse_window"]


def checked_quoting(owner: str, value: Quoting) -> Quoting:
    """Return the quoting check if it is valid.

    :param owner: the name of the task, for the message.
    :param value: the value of the parameter.
    :raises TaskConfigurationError: if there is no such check.
    """
    if value not in ("warn", "strict", "off"):
        raise TaskConfigurationError(
            f"{owner}: quoting has to be 'warn', 'strict' or 'off', not {value!r}"
        )
    return value


def parse_seconds(owner: str, parameter: str, value: timedelta | float | None) -> float | None:
    """Return a time limit in seconds; None if there is none.

    :param owner: the name of the task, for the message.
    :param parameter: the name of the parameter, for the message.
    :param value: a timedelta or a number of seconds.
    :raises TaskConfigurationError: if it is not a positive duration.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds is not None and not (is_number(seconds) and seconds > 0):
        raise TaskConfigurationError(
            f"{owner}: {parameter} has to be a time above 0, a timedelta or a number of seconds, "
            f"not {value!r}"
        )
    return seconds


def parse_window(owner: str, value: timedelta | float) -> timedelta:
    """Return the window of a rate limit as a timedelta.

    :param owner: the name of the task, for the message.
    :param value: a timedelta, or a number of seconds.
    :raises TaskConfigurationError: if it is not a duration of at least 0.
    """
    try:
        window = timedelta(seconds=float(value)) if is_number(value) else value
    except (OverflowError, ValueError):  # infinity, or not a number
        window = value
    if not isinstance(window, timedelta) or window < timedelta():
        raise TaskConfigurationError(
            f"{owner}: window has to be a time of at least 0, a timedelta or a number of seconds, "
            f"not {value!r}"
        )
    return window


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a real number; a bool does not count.

    :param value: the value.
    """
    return isinstance(value, Real) and not isinstance(value, bool)
