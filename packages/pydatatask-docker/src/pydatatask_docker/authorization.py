"""Telling a registry who is asking: passwords, and tokens that expire."""

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
"""The actions that reading takes, as scopes name them."""

WRITE = "pull,push,delete"
"""The actions that deleting takes where a tag has to be moved first."""

DEFAULT_LIFE = 60.0
"""How many seconds a token is good for that does not say ("Token Authentication", distribution)."""


@dataclass(frozen=True)
class _Token:
    text: str = field(repr=False)
    until: float


class Authorization:
    """Knows what a registry wants to see with requests about one of its repositories.

    Credentials are the client's, and are read anew whenever they are needed, so they may change.

    :param channel: sends requests, to the registry and to who gives tokens for it.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._wants_password = False
        self._challenge: Challenge | None = None
        self._tokens: dict[str, _Token] = {}
        self._lock = asyncio.Lock()

    async def ready(self, actions: str) -> str | None:
        """Give the header for a request, as far as it is known what the registry wants.

        :param actions: what the request is to be allowed, such as ``pull``.
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
        """Give another header after one was refused, or None if there is no other.

        :param answer: the refusal, which tells what the registry wants.
        :param actions: what the request is to be allowed.
        :param refused: the header that it had.
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
        """Get a new token in the place of an old one; of many who want one, the first does."""
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
            raise UnexpectedAnswer("it does not say where to get a token")
        scope = self._scope(wanted.get("scope"), actions)
        query = {"scope": scope} | ({"service": wanted["service"]} if "service" in wanted else {})
        password = await self._password()
        if password and realm.scheme == "http" and self._channel.protocol == "https":
            raise UnexpectedAnswer(
                f"it wants the password to be sent to {realm.origin()}, without encryption"
            )
        began = time.monotonic()
        answer = await self._channel.exchange(
            "GET", realm.update_query(query), authorization=password
        )
        found = answer.success().json()
        text = found.get("token") or found.get("access_token") if isinstance(found, dict) else None
        if not isinstance(text, str):
            raise UnexpectedAnswer(f"{realm.origin()} gives no token")
        life = found.get("expires_in")
        seconds = float(life) if isinstance(life, int | float) and life > 0 else DEFAULT_LIFE
        # A little earlier, so that it does not expire on its way.
        return _Token(text, began + seconds * 0.9)

    def _scope(self, wanted: str | None, actions: str) -> str:
        """Ask for what the registry names, and for the actions that are still to come."""
        ours = f"repository:{self._channel.place.path}:"
        if wanted is None or wanted.startswith(ours):
            return ours + actions
        return wanted

    def _given(self, actions: str) -> str | None:
        """Give the token that the user has given to the client, if it has one that is enough."""
        ours = f"repository:{self._channel.place.path}:"
        for scope, token in self._channel.given_tokens():
            allowed = scope.removeprefix(ours).split(",")
            if token and scope.startswith(ours) and {*actions.split(",")} <= {*allowed}:
                return f"Bearer {token}"
        return None

    async def _password(self) -> str | None:
        credentials = await self._channel.credentials()
        return None if credentials is None else f"Basic {credentials}"
