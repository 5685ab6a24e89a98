"""Translation of the client library's errors into those of pydatatask."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import ProcessManagerError, PydatataskError, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PodManagerError", "api_error", "api_errors"]

_MAX_MESSAGE_LENGTH = 1000
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_MEANINGS = {
    401: "the API server does not accept the credentials",
    403: "the credentials do not permit this request",
    408: "the API server did not answer in time",
    429: "the API server asks for fewer requests",
    503: "the API server is overloaded or starting",
    504: "the API server did not answer in time",
}


class PodManagerError(ProcessManagerError):
    """The API server could not be reached, or refused a request.

    :param action: the action that failed, as an infinitive ("list pods").
    :param where: the namespace and server.
    :param cause: the reason.
    :param status: the HTTP status of the response; None if there was no response.
    :param reason: Kubernetes' code for the refusal, such as ``AlreadyExists``.
    :param retry_after: seconds after which the server accepts another attempt.
    """

    def __init__(
        self,
        action: str,
        where: str,
        cause: str,
        *,
        status: int | None = None,
        reason: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"could not {action} in {where}: {cause}")
        self.cause = cause
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    @property
    def transient(self) -> bool:
        """True if the same request may succeed later."""
        return self.status is None or self.status in _TRANSIENT


@contextmanager
def api_errors(action: str, where: str) -> Iterator[None]:
    """Translate client library errors inside the context into :class:`PodManagerError`.

    :param action: the action, as an infinitive.
    :param where: the namespace and server.
    """
    # Imported here because the client library takes a third of a second to import.
    import aiohttp
    from kubernetes_asyncio.client.exceptions import ApiException, OpenApiException
    from kubernetes_asyncio.config import ConfigException

    try:
        yield
    except PydatataskError:
        raise
    except ApiException as e:
        raise api_error(action, where, e.status or 0, e.body or e.reason or "") from e
    except ConfigException as e:
        raise PodManagerError(action, where, f"there is no usable configuration: {e}") from e
    except TimeoutError as e:
        raise PodManagerError(action, where, "no answer in time") from e
    except (aiohttp.ClientError, OSError, OpenApiException, ValueError) as e:
        raise PodManagerError(action, where, " ".join(describe(e).split())) from e


def api_error(
    action: str, where: str, status: int, body: bytes | str, retry_after: float | None = None
) -> PodManagerError:
    """Return the error for a response whose status is not one of success.

    :param action: the action that failed, as an infinitive.
    :param where: the namespace and server.
    :param status: the HTTP status.
    :param body: the body, which is a Kubernetes ``Status`` if the API server sent it.
    :param retry_after: the value of the ``Retry-After`` header in seconds.
    """
    status_body = _parse_status(body)
    message = " ".join(str(status_body.get("message") or "").split())[:_MAX_MESSAGE_LENGTH]
    details = status_body.get("details")
    if retry_after is None and isinstance(details, dict):
        seconds = details.get("retryAfterSeconds")
        retry_after = float(seconds) if isinstance(seconds, int | float) else None
    parts = [part for part in (_MEANINGS.get(status, ""), message) if part]
    cause = f"{': '.join(parts) or 'refused'} (HTTP {status})"
    return PodManagerError(
        action,
        where,
        cause,
        status=status,
        reason=str(status_body.get("reason") or ""),
        retry_after=retry_after,
    )


def _parse_status(body: bytes | str) -> dict[str, Any]:
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    return parsed if isinstance(parsed, dict) else {"message": text}
