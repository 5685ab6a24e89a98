"""Translation of errors of registry requests into those of pydatatask."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import aiohttp

from pydatatask_core.errors import (
    PydatataskError,
    StoreConnectionError,
    StoreError,
    StorePermissionError,
    StoreTimeoutError,
)

from .deletion import DeletionUnsupported, TagMoved
from .response import RequestRefused, UnexpectedResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydatatask_core.repository import Repository

__all__ = ["store_errors", "translate_error"]

_CREDENTIALS = "the registry does not accept the credentials"
_PERMISSION = "the credentials do not permit this"
_RATE_LIMITED = "the registry asks for fewer requests"

# "Error Codes", OCI Distribution Specification 1.1.
_BY_CODE: dict[str, tuple[type[StoreError], str]] = {
    "DENIED": (StorePermissionError, _PERMISSION),
    "TOOMANYREQUESTS": (StoreError, _RATE_LIMITED),
    "UNAUTHORIZED": (StorePermissionError, _CREDENTIALS),
    "UNSUPPORTED": (StorePermissionError, "the registry does not support this"),
}
_BY_STATUS: dict[int, tuple[type[StoreError], str]] = {
    401: (StorePermissionError, _CREDENTIALS),
    403: (StorePermissionError, _PERMISSION),
    404: (StoreError, "the server is not a registry, or it hides the repository"),
    405: (StorePermissionError, "the registry does not support this"),
    408: (StoreTimeoutError, ""),
    429: (StoreError, _RATE_LIMITED),
    502: (StoreError, "a proxy cannot reach the registry"),
    503: (StoreError, "the registry is overloaded"),
    504: (StoreTimeoutError, ""),
}
# The first matching row applies; for example, ServerTimeoutError is also a ClientError.
_BY_TYPE: tuple[tuple[type[Exception], type[StoreError], str], ...] = (
    (DeletionUnsupported, StorePermissionError, ""),
    (TagMoved, StoreError, ""),
    (UnexpectedResponse, StoreError, "the registry sent an invalid response"),
    (TimeoutError, StoreTimeoutError, "the registry did not respond in time"),
    (aiohttp.ClientConnectorCertificateError, StoreConnectionError, "its certificate is not valid"),
    (aiohttp.ClientConnectorDNSError, StoreConnectionError, "the host does not exist"),
    (aiohttp.ClientPayloadError, StoreConnectionError, "the response was cut off"),
    (aiohttp.ClientResponseError, StoreError, "the registry sent an invalid response"),
    (aiohttp.ClientError, StoreConnectionError, ""),
    (OSError, StoreConnectionError, ""),
)
_TRANSLATED_ERRORS: tuple[type[Exception], ...] = (
    RequestRefused,
    *(kind for kind, _, _ in _BY_TYPE),
)


@contextmanager
def store_errors(
    repository: Repository, ref: object, action: str, job: str | None = None
) -> Iterator[None]:
    """Translate errors of requests inside the context into errors that name the operation.

    :param repository: the repository that performs the operation.
    :param ref: the registry and its repository.
    :param action: the operation as an infinitive ("look for").
    :param job: the job, if the operation concerns one job.
    """
    try:
        yield
    except PydatataskError:
        raise
    except _TRANSLATED_ERRORS as e:
        raise translate_error(e, repository, ref, action, job) from e


def translate_error(
    error: Exception, repository: Repository, ref: object, action: str, job: str | None = None
) -> StoreError:
    """Convert an error of a request to one of pydatatask.

    :param error: the error.
    :param repository: the repository that performed the operation.
    :param ref: the registry and its repository.
    :param action: the operation as an infinitive.
    :param job: the job, if the operation concerns one job.
    """
    kind, meaning = _meaning(error)
    text = " ".join(str(error).split()) or type(error).__name__
    where = str(ref) if job is None else f"{ref}:{job}"
    return kind(
        action if job is None else f"{action} job {job!r}",
        repository,
        ": ".join(part for part in (where, meaning, text) if part),
    )


def _meaning(error: Exception) -> tuple[type[StoreError], str]:
    if isinstance(error, RequestRefused):
        if error.lacks_scope:
            return StorePermissionError, _PERMISSION
        known = (_BY_CODE[code] for code in error.codes if code in _BY_CODE)
        return next(known, _BY_STATUS.get(error.status, (StoreError, "")))
    return next((ours, why) for theirs, ours, why in _BY_TYPE if isinstance(error, theirs))
