"""What a registry says to a request."""

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

__all__ = ["Answer", "Challenge", "Refusal", "UnexpectedAnswer", "url_in"]

# "Authentication Parameters", RFC 9110; a value may be quoted.
_PARAMETER = re.compile(r'([\w-]+)\s*=\s*(?:"([^"]*)"|([^\s,"=]+))')
_CHALLENGE = re.compile(rf"([\w-]+)((?:[\s,]+{_PARAMETER.pattern})+)?")
_PASSING = frozenset({500, 502, 503, 504})
_SUCCESSES = range(200, 300)
_LONGEST_SHOWN = 300

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Bytes of one answer, decompressed. A manifest has 4 MiB at most, a page of tags far less."""

_CHUNK_BYTES = 64 * 1024


class UnexpectedAnswer(Exception):
    """A registry has answered with what no registry should."""


def url_in(text: str, *, encoded: bool = False) -> URL:
    """Give the URL that a text is.

    :param text: the text, from an answer.
    :param encoded: whether to keep it as it is written.
    :raises UnexpectedAnswer: if it can be none.
    """
    try:
        return URL(text, encoded=encoded)
    except ValueError as e:
        raise UnexpectedAnswer(f"{text!r} is no address") from e


async def _read(response: ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise UnexpectedAnswer(f"it has more than {MAX_ANSWER_BYTES:,} bytes")
    return bytes(body)


class Refusal(Exception):
    """A registry has refused a request.

    :param answer: what it said.
    """

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self.codes = answer.codes
        self.lacks_scope = any(
            challenge.parameters.get("error") == "insufficient_scope"
            for challenge in answer.challenges
        )
        super().__init__(answer.said)


@dataclass(frozen=True)
class Challenge:
    """How a registry wants to know who is asking.

    :param scheme: ``basic`` or ``bearer``, or what else there is.
    :param parameters: what belongs to it, by small names.
    """

    scheme: str
    parameters: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """What a registry says to a request, read to its end.

    :param status: the status of HTTP.
    :param headers: the headers.
    :param body: the body.
    :param url: who has answered, after redirections.
    :param next: the next page, if this is one of several.
    """

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    url: URL
    next: URL | None

    @classmethod
    async def read(cls, response: ClientResponse) -> Answer:
        """Read a response to its end.

        :param response: the response.
        :raises UnexpectedAnswer: if it is larger than any answer of a registry.
        """
        body = await _read(response)
        try:
            link: Any = response.links.get("next", {})
        except ValueError as e:
            raise UnexpectedAnswer("there is no address behind its Link") from e
        return cls(response.status, response.headers, body, response.url, link.get("url"))

    @property
    def challenges(self) -> list[Challenge]:
        """How it wants to know who is asking, in its order."""
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
    def is_of_registry(self) -> bool:
        """Whether it is certain that a registry has given it, and not something in between."""
        return "Docker-Distribution-Api-Version" in self.headers or bool(self.errors)

    @property
    def is_absence(self) -> bool:
        """Whether a registry says by it that there is no such thing."""
        return self.status == HTTPStatus.NOT_FOUND and self.is_of_registry

    @property
    def is_passing(self) -> bool:
        """Whether it may be another one in a moment."""
        return self.status in _PASSING

    @property
    def succeeded(self) -> bool:
        """Whether the registry did, or began, what it was asked for."""
        return self.status in _SUCCESSES

    @property
    def errors(self) -> list[dict[str, Any]]:
        """What it says is wrong, if it says so as registries do."""
        try:
            errors = json.loads(self.body)["errors"]
        except (ValueError, LookupError, TypeError):
            return []
        if not isinstance(errors, list):
            return []
        return [error for error in errors if isinstance(error, dict)]

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of what is wrong."""
        return tuple(str(error.get("code", "")) for error in self.errors)

    @property
    def said(self) -> str:
        """What it says is wrong, in one line."""
        problems = [
            ": ".join(str(error[part]) for part in ("code", "message") if error.get(part))
            for error in self.errors
        ]
        text = " ".join("; ".join(filter(None, problems)).split())
        return f"{text[:_LONGEST_SHOWN]} (HTTP {self.status})".strip()

    def json(self) -> Any:
        """Give the body as the value that it stands for.

        :raises UnexpectedAnswer: if it is none.
        """
        try:
            return json.loads(self.body)
        except ValueError as e:
            raise UnexpectedAnswer(f"{self.url.path} is no JSON") from e

    def success(self) -> Answer:
        """Give the answer back if it is no refusal.

        :raises Refusal: if it is one.
        """
        if not self.succeeded:
            raise Refusal(self)
        return self
