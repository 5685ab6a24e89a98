"""The edge between the operating system's errors and ours."""

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
    """Raise an error of the operating system as one that names repository and action.

    :param repository: which repository it happens in.
    :param action: what is attempted, as an infinitive ("read job 'a'").
    """
    try:
        yield
    except PydatataskError:
        raise
    except OSError as e:
        raise next(
            store_error for os_error, store_error in _STORE_ERRORS if isinstance(e, os_error)
        )(action, repository, e) from e
