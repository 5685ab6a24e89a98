"""The edge between the errors of requests to a registry and pydatatask's own."""

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

from .answer import Refusal, UnexpectedAnswer
from .deleting import DeletionRefused, TagLost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydatatask_core.repository import Repository

__all__ = ["store_errors", "translated"]

_CREDENTIALS = "the registry does not accept the credentials"
_PERMISSION = "the credentials do not permit this"
_TOO_MANY = "the registry asks for fewer requests"

# "Error Codes", OCI Distribution Specification 1.1.
_BY_CODE: dict[str, tuple[type[StoreError], str]] = {
    "DENIED": (StorePermissionError, _PERMISSION),
    "TOOMANYREQUESTS": (StoreError, _TOO_MANY),
    "UNAUTHORIZED": (StorePermissionError, _CREDENTIALS),
    "UNSUPPORTED": (StorePermissionError, "the registry does not do this"),
}
_BY_STATUS: dict[int, tuple[type[StoreError], str]] = {
    401: (StorePermissionError, _CREDENTIALS),
    403: (StorePermissionError, _PERMISSION),
    404: (StoreError, "what answers is no registry, or hides it"),
    405: (StorePermissionError, "the registry does not do this"),
    408: (StoreTimeoutError, ""),
    429: (StoreError, _TOO_MANY),
    502: (StoreError, "the registry is not reached by what answers for it"),
    503: (StoreError, "the registry is overloaded"),
    504: (StoreTimeoutError, ""),
}
# The first line that fits counts; ServerTimeoutError, for one, is a ClientError as well.
_BY_TYPE: tuple[tuple[type[Exception], type[StoreError], str], ...] = (
    (DeletionRefused, StorePermissionError, ""),
    (TagLost, StoreError, ""),
    (UnexpectedAnswer, StoreError, "the registry's answer makes no sense"),
    (TimeoutError, StoreTimeoutError, "the registry did not answer in time"),
    (aiohttp.ClientConnectorCertificateError, StoreConnectionError, "its certificate is not valid"),
    (aiohttp.ClientConnectorDNSError, StoreConnectionError, "there is no such host"),
    (aiohttp.ClientPayloadError, StoreConnectionError, "the answer was cut off"),
    (aiohttp.ClientResponseError, StoreError, "the registry's answer makes no sense"),
    (aiohttp.ClientError, StoreConnectionError, ""),
    (OSError, StoreConnectionError, ""),
)
_FOREIGN: tuple[type[Exception], ...] = (Refusal, *(kind for kind, _, _ in _BY_TYPE))


@contextmanager
def store_errors(
    repository: Repository, place: object, action: str, job: str | None = None
) -> Iterator[None]:
    """Raise what goes wrong with a request as an error that says what failed, where, and why.

    :param repository: which repository it happens in.
    :param place: where the request goes.
    :param action: what is attempted, as an infinitive ("look for").
    :param job: with which job, if with one.
    """
    try:
        yield
    except PydatataskError:
        raise
    except _FOREIGN as e:
        raise translated(e, repository, place, action, job) from e


def translated(
    error: Exception, repository: Repository, place: object, action: str, job: str | None = None
) -> StoreError:
    """Make of what went wrong with a request one of our errors.

    :param error: what was raised.
    :param repository: which repository it happened in.
    :param place: where the request went.
    :param action: what was attempted, as an infinitive.
    :param job: with which job, if with one.
    """
    kind, meaning = _meaning(error)
    said = " ".join(str(error).split()) or type(error).__name__
    where = str(place) if job is None else f"{place}:{job}"
    return kind(
        action if job is None else f"{action} job {job!r}",
        repository,
        ": ".join(part for part in (where, meaning, said) if part),
    )


def _meaning(error: Exception) -> tuple[type[StoreError], str]:
    if isinstance(error, Refusal):
        if error.lacks_scope:
            return StorePermissionError, _PERMISSION
        known = (_BY_CODE[code] for code in error.codes if code in _BY_CODE)
        return next(known, _BY_STATUS.get(error.status, (StoreError, "")))
    return next((ours, why) for theirs, ours, why in _BY_TYPE if isinstance(error, theirs))
