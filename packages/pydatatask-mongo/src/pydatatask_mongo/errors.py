"""Translation of the client library's errors into those of pydatatask."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bson.errors import BSONError
from pymongo import errors as theirs

from pydatatask_core.errors import (
    RepositoryError,
    StoreConnectionError,
    StoreError,
    StorePermissionError,
    StoreTimeoutError,
    UnsupportedValueError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydatatask_core.repository import Repository

__all__ = ["store_errors", "translate_error"]

_NOT_PRIMARY = "the server is not the primary, or is shutting down"
_DUPLICATE = "another document has the same value in a unique index"
_TOO_LARGE = "the server rejects the document as too large"

# Codes of MongoDB's src/mongo/base/error_codes.yml; for most errors servers send only the number.
_BY_CODE: dict[int, tuple[type[StoreError], str]] = {
    6: (StoreConnectionError, ""),  # HostUnreachable
    7: (StoreConnectionError, ""),  # HostNotFound
    11: (StorePermissionError, ""),  # UserNotFound
    13: (StorePermissionError, ""),  # Unauthorized
    18: (StorePermissionError, ""),  # AuthenticationFailed
    50: (StoreTimeoutError, ""),  # MaxTimeMSExpired
    89: (StoreTimeoutError, ""),  # NetworkTimeout
    91: (StoreConnectionError, _NOT_PRIMARY),  # ShutdownInProgress
    189: (StoreConnectionError, _NOT_PRIMARY),  # PrimarySteppedDown
    262: (StoreTimeoutError, ""),  # ExceededTimeLimit
    8000: (StorePermissionError, ""),  # of Atlas: AtlasError
    10107: (StoreConnectionError, _NOT_PRIMARY),  # NotWritablePrimary
    11600: (StoreConnectionError, _NOT_PRIMARY),  # InterruptedAtShutdown
    11602: (StoreConnectionError, _NOT_PRIMARY),  # InterruptedDueToReplStateChange
    13435: (StoreConnectionError, _NOT_PRIMARY),  # NotPrimaryNoSecondaryOk
    13436: (StoreConnectionError, _NOT_PRIMARY),  # NotPrimaryOrSecondary
}
# The first matching row applies; for example, NetworkTimeout is also an AutoReconnect.
_BY_TYPE: tuple[tuple[type[Exception], type[StoreError], str], ...] = (
    (theirs.NotPrimaryError, StoreConnectionError, _NOT_PRIMARY),
    (theirs.ServerSelectionTimeoutError, StoreConnectionError, "no server can be reached"),
    (theirs.NetworkTimeout, StoreTimeoutError, ""),
    (theirs.WaitQueueTimeoutError, StoreTimeoutError, ""),
    (theirs.ConnectionFailure, StoreConnectionError, ""),
    (theirs.ExecutionTimeout, StoreTimeoutError, ""),
    (theirs.WTimeoutError, StoreTimeoutError, "not enough members have confirmed the write"),
    (theirs.DuplicateKeyError, StoreError, _DUPLICATE),
    (theirs.PyMongoError, StoreError, ""),
    (BSONError, StoreError, ""),
)
_SIZE_CODES = frozenset({10334, 17419, 17420})  # BSONObjectTooLarge, and two codes for updates


@contextmanager
def store_errors(repository: Repository, action: str, job: str | None = None) -> Iterator[None]:
    """Translate client library errors inside the context into errors that name the operation.

    :param repository: the repository that performs the operation.
    :param action: the operation as an infinitive ("read").
    :param job: the job, if the operation concerns one job.
    """
    try:
        yield
    except (theirs.PyMongoError, BSONError) as e:
        raise translate_error(e, repository, action, job) from e


def translate_error(
    error: Exception, repository: Repository, action: str, job: str | None = None
) -> RepositoryError:
    """Convert an error of the client library to one of pydatatask.

    :param error: the error of the client library.
    :param repository: the repository that performed the operation.
    :param action: the operation as an infinitive ("read").
    :param job: the job, if the operation concerns one job.
    """
    code = getattr(error, "code", None)
    if job is not None and (isinstance(error, theirs.DocumentTooLarge) or code in _SIZE_CODES):
        return UnsupportedValueError(job, repository, f"{_TOO_LARGE}: {_error_text(error)}")
    if code in _BY_CODE:
        ours, meaning = _BY_CODE[code]
    else:
        ours, meaning = next(
            (ours, meaning) for kind, ours, meaning in _BY_TYPE if isinstance(error, kind)
        )
    cause = _error_text(error)
    return ours(
        action if job is None else f"{action} job {job!r}",
        repository,
        f"{meaning}: {cause}" if meaning else cause,
    )


def _error_text(error: Exception) -> str:
    """Return the message of an error, without details for debugging the client library."""
    text = str(error) or type(error).__name__
    for appendix in (", full error: {", ", Topology Description: <", " (configured timeouts: "):
        text = text.partition(appendix)[0]
    return " ".join(text.split())
