"""Authentication with a registry, by passwords and by tokens that expire."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .answer import UnexpectedAnswer, url_in

if TYPE_CHECKING:
    from .answer import Answer, Challenge
    from .channel import Channel

__all__ = ["PULL", "WRITE", "Authorization"]

PULL = "pull"
"""The actions required for reading, as in the scope of a token."""

WRITE = "pull,push,delete"
"""The actions required for deleting a tag that has to be moved first."""

DEFAULT_LIFE = 60.0
"""The default lifetime of a token in seconds ("Token Authentication", distribution)."""


@dataclass(frozen=True)
class _Token:
    text: str = field(repr=False)
    until: float


class Authorization:
    """Authorization of requests to one repository of a registry.

    The credentials are those of the client. They are read each time that they are needed, so they
    may change.

    :param channel: the transport of requests to the registry and its token server.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._wants_password = False
        self._challenge: Challenge | None = None
        self._tokens: dict[str, _Token] = {}
        self._lock = asyncio.Lock()

    async def ready(self, actions: str) -> str | None:
        """Return the Authorization header for a request, or None if none is known to be required.

        :param actions: the actions that the request needs, such as ``pull``.
        """
        if self._wants_password:
            return await self._password()
        token = self._tokens.get(actions)
        if token is None:
            return self._given(actions)
        if time.monotonic() >= token.until:
            return await self._renewed(actions, f"Bearer {token.text}")
        return f"Bearer {token.text}"

    async def better(self, answer: Answer, actions: str, refused: str | None) -> str | None:
        """Return another header after the registry rejected one, or None if there is no other.

        :param answer: the response, with the challenges of the registry.
        :param actions: the actions that the request needs.
        :param refused: the rejected header.
        """
        challenges = {challenge.scheme: challenge for challenge in answer.challenges}
        if "bearer" in challenges:
            self._challenge = challenges["bearer"]
            return await self._renewed(actions, refused)
        if "basic" in challenges:
            self._wants_password = True
            password = await self._password()
            return None if password == refused else password
        return None

    async def _renewed(self, actions: str, old: str | None) -> str:
        """Return a header with a token newer than ``old``; concurrent callers share one request."""
        async with self._lock:
            token = self._tokens.get(actions)
            if token is None or f"Bearer {token.text}" == old or time.monotonic() >= token.until:
                token = self._tokens[actions] = await self._fetched(actions)
        return f"Bearer {token.text}"

    async def _fetched(self, actions: str) -> _Token:
        assert self._challenge is not None
        wanted = self._challenge.parameters
        realm = url_in(wanted.get("realm", ""))
        if realm.scheme not in ("http", "https") or not realm.host:
            raise UnexpectedAnswer("its challenge does not contain the URL of a token server")
        scope = self._scope(wanted.get("scope"), actions)
        query = {"scope": scope} | ({"service": wanted["service"]} if "service" in wanted else {})
        password = await self._password()
        if password and realm.scheme == "http" and self._channel.protocol == "https":
            raise UnexpectedAnswer(
                f"it requests the password for {realm.origin()}, a token server without encryption"
            )
        began = time.monotonic()
        answer = await self._channel.exchange(
            "GET", realm.update_query(query), authorization=password
        )
        found = answer.success().json()
        text = found.get("token") or found.get("access_token") if isinstance(found, dict) else None
        if not isinstance(text, str):
            raise UnexpectedAnswer(f"{realm.origin()} did not send a token")
        life = found.get("expires_in")
        seconds = float(life) if isinstance(life, int | float) and life > 0 else DEFAULT_LIFE
        # Replace it early, so that it does not expire in transit.
        return _Token(text, began + seconds * 0.9)

    def _scope(self, wanted: str | None, actions: str) -> str:
        """Return the scope of the challenge, extended to ``actions`` if it is this repository."""
        ours = f"repository:{self._channel.place.path}:"
        if wanted is None or wanted.startswith(ours):
            return ours + actions
        return wanted

    def _given(self, actions: str) -> str | None:
        """Return the header of a token in the user's client that permits ``actions``, or None."""
        ours = f"repository:{self._channel.place.path}:"
        for scope, token in self._channel.given_tokens():
            allowed = scope.removeprefix(ours).split(",")
            if token and scope.startswith(ours) and {*actions.split(",")} <= {*allowed}:
                return f"Bearer {token}"
        return None

    async def _password(self) -> str | None:
        credentials = await self._channel.credentials()
        return None if credentials is None else f"Basic {credentials}"
