"""Authentication with a registry, by passwords and by tokens that expire."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .response import UnexpectedResponse, parse_url

if TYPE_CHECKING:
    from .response import Challenge, RegistryResponse
    from .transport import Transport

__all__ = ["PULL", "WRITE", "Authorization"]

PULL = "pull"
"""The actions required for reading, as in the scope of a token."""

WRITE = "pull,push,delete"
"""The actions required for deleting a tag that has to be moved first."""

DEFAULT_TOKEN_LIFETIME_SECONDS = 60.0
"""The default lifetime of a token in seconds ("Token Authentication", distribution)."""


@dataclass(frozen=True)
class _Token:
    text: str = field(repr=False)
    until: float


class Authorization:
    """Authorization of requests to one repository of a registry.

    The credentials are those of the client. They are read each time that they are needed, so they
    may change.

    :param transport: the transport of requests to the registry and its token server.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._wants_password = False
        self._challenge: Challenge | None = None
        self._tokens: dict[str, _Token] = {}
        self._lock = asyncio.Lock()

    async def header(self, actions: str) -> str | None:
        """Return the Authorization header for a request, or None if none is known to be required.

        :param actions: the actions that the request needs, such as ``pull``.
        """
        if self._wants_password:
            return await self._basic_header()
        token = self._tokens.get(actions)
        if token is None:
            return self._user_token(actions)
        if time.monotonic() >= token.until:
            return await self._renew_token(actions, f"Bearer {token.text}")
        return f"Bearer {token.text}"

    async def reauthorize(
        self, response: RegistryResponse, actions: str, refused: str | None
    ) -> str | None:
        """Return another header after the registry rejected one, or None if there is no other.

        :param response: the response, with the challenges of the registry.
        :param actions: the actions that the request needs.
        :param refused: the rejected header.
        """
        challenges = {challenge.scheme: challenge for challenge in response.challenges}
        if "bearer" in challenges:
            self._challenge = challenges["bearer"]
            return await self._renew_token(actions, refused)
        if "basic" in challenges:
            self._wants_password = True
            password = await self._basic_header()
            return None if password == refused else password
        return None

    async def _renew_token(self, actions: str, old: str | None) -> str:
        """Return a header with a token newer than ``old``; concurrent callers share one request."""
        async with self._lock:
            token = self._tokens.get(actions)
            if token is None or f"Bearer {token.text}" == old or time.monotonic() >= token.until:
                token = self._tokens[actions] = await self._fetch_token(actions)
        return f"Bearer {token.text}"

    async def _fetch_token(self, actions: str) -> _Token:
        assert self._challenge is not None
        parameters = self._challenge.parameters
        realm = parse_url(parameters.get("realm", ""))
        if realm.scheme not in ("http", "https") or not realm.host:
            raise UnexpectedResponse("its challenge does not contain the URL of a token server")
        scope = self._scope(parameters.get("scope"), actions)
        query = {"scope": scope} | (
            {"service": parameters["service"]} if "service" in parameters else {}
        )
        password = await self._basic_header()
        if password and realm.scheme == "http" and self._transport.protocol == "https":
            raise UnexpectedResponse(
                f"it requests the password for {realm.origin()}, a token server without encryption"
            )
        requested_at = time.monotonic()
        response = await self._transport.send(
            "GET", realm.update_query(query), authorization=password
        )
        grant = response.raise_for_refusal().json()
        text = grant.get("token") or grant.get("access_token") if isinstance(grant, dict) else None
        if not isinstance(text, str):
            raise UnexpectedResponse(f"{realm.origin()} did not send a token")
        lifetime = grant.get("expires_in")
        seconds = (
            float(lifetime)
            if isinstance(lifetime, int | float) and lifetime > 0
            else DEFAULT_TOKEN_LIFETIME_SECONDS
        )
        # Replace it early, so that it does not expire in transit.
        return _Token(text, requested_at + seconds * 0.9)

    def _scope(self, wanted: str | None, actions: str) -> str:
        """Return the scope of the challenge, extended to ``actions`` if it is this repository."""
        ours = f"repository:{self._transport.ref.path}:"
        if wanted is None or wanted.startswith(ours):
            return ours + actions
        return wanted

    def _user_token(self, actions: str) -> str | None:
        """Return the header of a token in the user's client that permits ``actions``, or None."""
        ours = f"repository:{self._transport.ref.path}:"
        for scope, token in self._transport.user_tokens():
            allowed = scope.removeprefix(ours).split(",")
            if token and scope.startswith(ours) and {*actions.split(",")} <= {*allowed}:
                return f"Bearer {token}"
        return None

    async def _basic_header(self) -> str | None:
        credentials = await self._transport.credentials()
        return None if credentials is None else f"Basic {credentials}"
