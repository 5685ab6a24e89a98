"""Translation of the operating system's errors into our own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydatatask_core.errors import (
    PydatataskError,
    StoreConnectionError,
    StoreError,
    StorePermissionError,
    StoreTimeoutError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["store_errors"]

_STORE_ERRORS: tuple[tuple[type[OSError], type[StoreError]], ...] = (
    (PermissionError, StorePermissionError),
    (TimeoutError, StoreTimeoutError),
    (ConnectionError, StoreConnectionError),
    (OSError, StoreError),
)


@contextmanager
def store_errors(repository: object, action: str) -> Iterator[None]:
    """Translate errors of the operating system into errors with the repository and the action.

    :param repository: the repository.
    :param action: the action, as an infinitive ("read job 'a'").
    """
    try:
        yield
    except PydatataskError:
        raise
    except OSError as e:
        raise next(
            store_error for os_error, store_error in _STORE_ERRORS if isinstance(e, os_error)
        )(action, repository, e) from e
