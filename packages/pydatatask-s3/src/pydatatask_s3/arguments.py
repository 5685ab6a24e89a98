"""Checks of the constructor arguments of repositories."""

from __future__ import annotations

from typing import Any

from pydatatask_core.errors import RepositoryConfigurationError

from .multipart import MIN_PART_BYTES

__all__ = ["check_client", "check_part_size", "check_texts"]


def check_client(owner: str, client: Any) -> None:
    """Check that ``client`` is a callable that returns a client, and not the client itself.

    :raises TypeError: if it is not callable.
    """
    if not callable(client):
        raise TypeError(
            f"{owner}(client): expected a callable that returns the client, such as a session "
            f"resource, not {type(client).__name__}"
        )


def check_texts(owner: str, **arguments: Any) -> None:
    """Check that all arguments are strings.

    :raises TypeError: if one is not; the message names the argument.
    """
    for name, value in arguments.items():
        if not isinstance(value, str):
            raise TypeError(f"{owner}({name}): expected a str, not {value!r}")


def check_part_size(owner: str, size: Any) -> None:
    """Check that servers accept parts of this size.

    :raises TypeError: if ``size`` is not an int.
    :raises RepositoryConfigurationError: if it is too small.
    """
    if not isinstance(size, int) or isinstance(size, bool):
        raise TypeError(f"{owner}(part_size): expected a number of bytes, not {size!r}")
    if size < MIN_PART_BYTES:
        raise RepositoryConfigurationError(
            f"{owner}(part_size): servers reject parts of {size} bytes; the minimum is "
            f"{MIN_PART_BYTES} (5 MiB)"
        )
