"""What a repository refuses to be made of."""

from __future__ import annotations

from typing import Any

from pydatatask_core.errors import RepositoryConfigurationError

from .multipart import MIN_PART_SIZE

__all__ = ["check_client", "check_part_size", "check_texts"]


def check_client(owner: str, client: Any) -> None:
    """Refuse what does not give a client, such as the client itself.

    :raises TypeError: saying what was expected.
    """
    if not callable(client):
        raise TypeError(
            f"{owner}(client): expected a callable that gives the client, such as a resource of a "
            f"session, not {type(client).__name__}"
        )


def check_texts(owner: str, **arguments: Any) -> None:
    """Refuse what is no text.

    :raises TypeError: naming the argument.
    """
    for name, value in arguments.items():
        if not isinstance(value, str):
            raise TypeError(f"{owner}({name}): expected a str, not {value!r}")


def check_part_size(owner: str, size: Any) -> None:
    """Refuse parts that no server takes.

    :raises TypeError: if it is no number of bytes.
    :raises RepositoryConfigurationError: if it is too small.
    """
    if not isinstance(size, int) or isinstance(size, bool):
        raise TypeError(f"{owner}(part_size): expected a number of bytes, not {size!r}")
    if size < MIN_PART_SIZE:
        raise RepositoryConfigurationError(
            f"{owner}(part_size): no server takes parts of {size} bytes, the least is "
            f"{MIN_PART_SIZE} (5 MiB)"
        )
