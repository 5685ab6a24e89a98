"""Translation of the client library's errors into those of pydatatask."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
from botocore import exceptions as theirs
from botocore.parsers import ResponseParserError

from pydatatask_core.errors import (
    PydatataskError,
    RepositoryConfigurationError,
    RepositoryError,
    StoreConnectionError,
    StoreError,
    StorePermissionError,
    StoreTimeoutError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydatatask_core.repository import Repository

__all__ = ["code_of", "is_absent", "is_misconfigured", "store_errors", "translate_error"]

_CREDENTIALS = "the server does not accept the credentials"
_PERMISSION = "the credentials do not permit this"
_REPLACED = "the object was replaced meanwhile"

# "Error responses", Amazon S3 API Reference.
_BY_CODE: dict[str, tuple[type[StoreError], str]] = {
    "AccessDenied": (StorePermissionError, _PERMISSION),
    "AccountProblem": (StorePermissionError, _CREDENTIALS),
    "AllAccessDisabled": (StorePermissionError, _PERMISSION),
    "AuthorizationHeaderMalformed": (StorePermissionError, _CREDENTIALS),
    "BucketAlreadyExists": (StorePermissionError, "the bucket belongs to another account"),
    "ExpiredToken": (StorePermissionError, _CREDENTIALS),
    "InvalidAccessKeyId": (StorePermissionError, _CREDENTIALS),
    "InvalidSecurity": (StorePermissionError, _CREDENTIALS),
    "InvalidToken": (StorePermissionError, _CREDENTIALS),
    "NoSuchBucket": (StoreError, "the bucket does not exist"),
    "NoSuchKey": (StoreError, "the object was deleted meanwhile"),
    "NotSignedUp": (StorePermissionError, _CREDENTIALS),
    "PreconditionFailed": (StoreError, _REPLACED),
    "RequestTimeTooSkewed": (StorePermissionError, "the clocks differ too much"),
    "RequestTimeout": (StoreTimeoutError, ""),
    "SignatureDoesNotMatch": (StorePermissionError, _CREDENTIALS),
    "SlowDown": (StoreError, "the server asks for fewer requests"),
    "XAdminUserNotFound": (StorePermissionError, _CREDENTIALS),  # versitygw's
    "XAmzContentSHA256Mismatch": (StoreError, "the data was corrupted in transit"),
}
_BY_STATUS: dict[int, tuple[type[StoreError], str]] = {
    401: (StorePermissionError, _CREDENTIALS),
    403: (StorePermissionError, _PERMISSION),
    404: (StoreError, ""),
    408: (StoreTimeoutError, ""),
    412: (StoreError, _REPLACED),
    429: (StoreError, "the server asks for fewer requests"),
    503: (StoreError, "the server is overloaded"),
    504: (StoreTimeoutError, ""),
}
# The first matching row applies; for example, ReadTimeoutError is also an HTTPClientError.
_BY_TYPE: tuple[tuple[type[Exception], type[RepositoryError], str], ...] = (
    (theirs.ParamValidationError, RepositoryConfigurationError, ""),
    (theirs.NoCredentialsError, StorePermissionError, "the client has no credentials"),
    (theirs.PartialCredentialsError, StorePermissionError, "the credentials are incomplete"),
    (theirs.CredentialRetrievalError, StorePermissionError, "the credentials are unavailable"),
    (theirs.ConnectTimeoutError, StoreTimeoutError, ""),
    (theirs.ReadTimeoutError, StoreTimeoutError, ""),
    (theirs.FlexibleChecksumError, StoreError, "the data was corrupted in transit"),
    (theirs.HTTPClientError, StoreConnectionError, ""),
    (theirs.ConnectionError, StoreConnectionError, ""),
    (theirs.BotoCoreError, StoreError, ""),
    (ResponseParserError, StoreError, "the server's response cannot be parsed"),
    (TimeoutError, StoreTimeoutError, ""),
    (aiohttp.ClientError, StoreConnectionError, ""),
    (OSError, StoreConnectionError, ""),
)
_TRANSLATED_ERRORS: tuple[type[Exception], ...] = (
    theirs.ClientError,
    *(kind for kind, _, _ in _BY_TYPE),
)
_CONFIGURATION_CODES = frozenset(
    {"BucketAlreadyExists", "IllegalLocationConstraintException", "InvalidBucketName"}
)


@contextmanager
def store_errors(repository: Repository, action: str, ref: str) -> Iterator[None]:
    """Translate client library errors inside the context into errors that name the operation.

    :param repository: the repository that performs the operation.
    :param action: the operation as an infinitive ("read job 'a'").
    :param ref: the URI of the object or bucket.
    """
    try:
        yield
    except PydatataskError:
        raise
    except _TRANSLATED_ERRORS as e:
        raise translate_error(e, repository, action, ref) from e


def translate_error(
    error: Exception, repository: Repository, action: str, ref: str
) -> RepositoryError:
    """Convert an error of the client library to one of pydatatask, with its ``request_id``.

    :param error: the error of the client library.
    :param repository: the repository that performed the operation.
    :param action: the operation as an infinitive.
    :param ref: the URI of the object or bucket.
    """
    kind, meaning = _meaning(error)
    cause = f"{ref}: {f'{meaning}: ' if meaning else ''}{_error_text(error)}"
    ours: RepositoryError
    if issubclass(kind, StoreError):
        ours = kind(action, repository, cause)
    else:
        ours = kind(f"could not {action} in {repository!r}: {cause}")
    vars(ours)["request_id"] = _request_id(error)
    return ours


def code_of(error: BaseException | None) -> str:
    """Return the error code in the server's response, or ``""``."""
    if not isinstance(error, theirs.ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_absent(error: theirs.ClientError, *, head: bool = False) -> bool:
    """Return whether the server reports that the object or its bucket does not exist.

    :param error: the error response.
    :param head: whether it is the response to a HEAD request, which has a status and no body. For
        other requests a store sends an error code: a 404 without one comes from an intermediary.
    """
    code = code_of(error)
    return code in ("NoSuchKey", "NoSuchBucket") or (head and code in ("404", "NotFound"))


def is_misconfigured(error: StoreError) -> bool:
    """Return whether an error is caused by wrong configuration and not by a failing store."""
    cause = error.__cause__
    return isinstance(error, StorePermissionError) or code_of(cause) in _CONFIGURATION_CODES


def _meaning(error: Exception) -> tuple[type[RepositoryError], str]:
    if isinstance(error, theirs.ClientError):
        status = _metadata(error).get("HTTPStatusCode", 0)
        return _BY_CODE.get(code_of(error)) or _BY_STATUS.get(status, (StoreError, ""))
    if isinstance(error, theirs.EndpointConnectionError) and _has_no_host(error):
        return StoreConnectionError, "the host does not exist"
    return next(
        ((kind, meaning) for theirs, kind, meaning in _BY_TYPE if isinstance(error, theirs)),
        (StoreConnectionError, ""),
    )


def _metadata(error: Exception) -> dict[str, Any]:
    if isinstance(error, theirs.ClientError):
        return dict(error.response.get("ResponseMetadata", {}))
    return {}


def _request_id(error: Exception) -> str | None:
    """Return the server's id of the request, or None if it did not respond or sent none."""
    metadata = _metadata(error)
    request_id = metadata.get("RequestId") or metadata.get("HTTPHeaders", {}).get(
        "x-amz-request-id"
    )
    return str(request_id) if request_id else None


def _error_text(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, theirs.ClientError):
        return text
    answer, metadata = error.response.get("Error", {}), _metadata(error)
    code, message = code_of(error), str(answer.get("Message") or "").rstrip(".")
    text = ": ".join(part for part in (code if not code.isdigit() else "", message) if part)
    facts = [f"HTTP {metadata.get('HTTPStatusCode', '?')}"]
    if request_id := _request_id(error):
        facts.append(f"request id {request_id}")
    if metadata.get("RetryAttempts"):
        facts.append(f"tried {metadata['RetryAttempts'] + 1} times")
    return f"{text} ({', '.join(facts)})".strip()


def _has_no_host(error: theirs.EndpointConnectionError) -> bool:
    cause: Any = error.kwargs.get("error")
    # The resolver of aiohttp, and thus the error, depends on whether aiodns is installed.
    by_aiohttp = isinstance(cause, aiohttp.ClientConnectorDNSError)
    return by_aiohttp or isinstance(getattr(cause, "os_error", cause), socket.gaierror)
