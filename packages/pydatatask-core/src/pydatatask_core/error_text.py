"""Texts of exceptions and values for error messages."""

from __future__ import annotations

__all__ = ["describe", "excerpt", "type_name"]

_MAX_SHOWN_CHARACTERS = 160


def excerpt(value: object) -> str:
    """Return the representation of a value for a message, truncated if it is long.

    :param value: any value; if its ``repr`` raises, its type is shown.
    """
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - repr of an integer of thousands of digits raises
        return f"a value of type {type(value).__qualname__}"
    if len(text) > _MAX_SHOWN_CHARACTERS:
        return f"{text[:_MAX_SHOWN_CHARACTERS]}... ({len(text)} characters)"
    return text


def type_name(error: BaseException) -> str:
    """Return the name of an exception's type, even if its metaclass overrides ``__name__``."""
    name: str = vars(type)["__name__"].__get__(type(error))
    return name


def describe(cause: object) -> str:
    """Return the text of a foreign exception, or its type if the text is empty.

    This never raises, even if the ``__str__`` of the exception does.
    """
    if not isinstance(cause, BaseException):
        return str(cause)
    try:
        if isinstance(cause, OSError) and cause.strerror:  # None in our own errors
            return f"{cause.strerror}: {cause.filename!r}" if cause.filename else cause.strerror
        return str(cause) or type_name(cause)
    except KeyboardInterrupt:
        raise
    except BaseException as e:  # noqa: BLE001 - the described exception matters more than this one
        return f"(no text: its __str__ raised {type_name(e)})"
