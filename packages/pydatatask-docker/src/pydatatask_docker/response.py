"""Responses of a registry."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from yarl import URL

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from multidict import CIMultiDictProxy

__all__ = ["Challenge", "RegistryResponse", "RequestRefused", "UnexpectedResponse", "parse_url"]

# "Authentication Parameters", RFC 9110; a value may be quoted.
_PARAMETER = re.compile(r'([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s,"=]+))')
_CHALLENGE = re.compile(rf"([\w-]+)((?:[\s,]+{_PARAMETER.pattern})+)?")
_TRANSIENT_STATUSES = frozenset({500, 502, 503, 504})
_SUCCESS_STATUSES = range(200, 300)
_MAX_SHOWN_CHARACTERS = 300


MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""Bytes of one response, decompressed. A manifest has 4 MiB at most, a page of tags far less."""

_CHUNK_BYTES = 64 * 1024


class UnexpectedResponse(Exception):
    """An invalid response of a registry."""


def parse_url(text: str, *, encoded: bool = False) -> URL:
    """Parse a URL in a response.

    :param text: the URL as text.
    :param encoded: whether ``text`` is encoded already, and is kept unchanged.
    :raises UnexpectedAnswer: if it is not a valid URL.
    """
    try:
        return URL(text, encoded=encoded)
    except ValueError as e:
        raise UnexpectedResponse(f"{text!r} is not a valid URL") from e


async def _read_body(response: ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise UnexpectedResponse(f"it has more than {MAX_RESPONSE_BYTES:,} bytes")
    return bytes(body)


class RequestRefused(Exception):
    """An error response of a registry.

    :param response: the response.
    """

    def __init__(self, response: RegistryResponse) -> None:
        self.status = response.status
        self.codes = response.codes
        self.lacks_scope = any(
            challenge.parameters.get("error") == "insufficient_scope"
            for challenge in response.challenges
        )
        super().__init__(response.error_text)


@dataclass(frozen=True)
class Challenge:
    """An authentication scheme that a registry offers.

    :param scheme: the name in lower case, such as ``basic`` or ``bearer``.
    :param parameters: the parameters of the scheme, by their names in lower case.
    """

    scheme: str
    parameters: dict[str, str]


@dataclass(frozen=True)
class RegistryResponse:
    """A complete response of a registry.

    :param status: the HTTP status.
    :param headers: the headers.
    :param body: the body.
    :param url: the final URL, after redirects.
    :param next: the URL of the next page, if there is one.
    """

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    url: URL
    next: URL | None

    @classmethod
    async def read(cls, response: ClientResponse) -> RegistryResponse:
        """Read a response completely.

        :param response: the response.
        :raises UnexpectedAnswer: if the URL of its next page is not valid.
        """
        body = await _read_body(response)
        try:
            link: Any = response.links.get("next", {})
        except ValueError as e:
            raise UnexpectedResponse("its Link header does not contain a valid URL") from e
        return cls(response.status, response.headers, body, response.url, link.get("url"))

    @property
    def challenges(self) -> list[Challenge]:
        """The authentication schemes that the registry offers, in the order of the response."""
        return [
            Challenge(
                match[1].lower(),
                {
                    name.lower(): quoted or bare
                    for name, quoted, bare in _PARAMETER.findall(match[2] or "")
                },
            )
            for header in self.headers.getall("WWW-Authenticate", ())
            for match in _CHALLENGE.finditer(header)
        ]

    @property
    def is_from_registry(self) -> bool:
        """True if the response is known to come from a registry and not from an intermediary."""
        return "Docker-Distribution-Api-Version" in self.headers or bool(self.errors)

    @property
    def is_not_found(self) -> bool:
        """True if a registry reports that the requested resource does not exist."""
        return self.status == HTTPStatus.NOT_FOUND and self.is_from_registry

    @property
    def is_transient(self) -> bool:
        """True if the failure may be temporary."""
        return self.status in _TRANSIENT_STATUSES

    @property
    def succeeded(self) -> bool:
        """True if the registry has performed or accepted the request."""
        return self.status in _SUCCESS_STATUSES

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The errors in the body, if it has the format of registries."""
        try:
            errors = json.loads(self.body)["errors"]
        except (ValueError, LookupError, TypeError):
            return []
        if not isinstance(errors, list):
            return []
        return [error for error in errors if isinstance(error, dict)]

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the errors."""
        return tuple(str(error.get("code", "")) for error in self.errors)

    @property
    def error_text(self) -> str:
        """The errors and the status in one line."""
        problems = [
            ": ".join(str(error[part]) for part in ("code", "message") if error.get(part))
            for error in self.errors
        ]
        text = " ".join("; ".join(filter(None, problems)).split())
        return f"{text[:_MAX_SHOWN_CHARACTERS]} (HTTP {self.status})".strip()

    def json(self) -> Any:
        """Parse the body as JSON.

        :raises UnexpectedAnswer: if it is not valid JSON.
        """
        try:
            return json.loads(self.body)
        except ValueError as e:
            raise UnexpectedResponse(f"{self.url.path} is not valid JSON") from e

    def raise_for_refusal(self) -> RegistryResponse:
        """Return the response itself if it is successful.

        :raises Refusal: if it is not.
        """
        if not self.succeeded:
            raise RequestRefused(self)
        return self
