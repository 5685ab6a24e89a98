"""Requests about one repository of a registry."""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from yarl import URL

from .answer import UnexpectedAnswer
from .authorization import PULL, Authorization
from .manifests import ACCEPT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from .answer import Answer
    from .channel import Channel

__all__ = ["Registry"]

PAGE = 1000
"""How many tags to ask for at once; a registry may give fewer, or all."""

PAUSES = (0.05, 0.1, 0.2, 0.4)
"""How many seconds to wait before a request is sent again, in turn."""


class Registry:
    """Asks a registry about one of its repositories.

    :param channel: the way there.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._authorization = Authorization(channel)

    async def send(
        self,
        method: str,
        target: str | URL,
        *,
        actions: str = PULL,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Send a request, with what the registry wants to know about who is asking.

        It is sent again where the registry fails; 2.8 does when it reads what it just writes.

        :param method: the verb of HTTP.
        :param target: where it goes, from the repository's address.
        :param actions: what it is to be allowed, for registries that give tokens.
        :param headers: further headers.
        :param body: the body.
        """
        base = self._channel.base
        url = base.join(URL(target) if isinstance(target, str) else target)
        ours = (url.scheme, url.authority) == (base.scheme, base.authority)
        ask = partial(self._channel.exchange, method, url, headers=headers, body=body)
        for pause in (*PAUSES, None):
            if ours:
                answer = await self._authorized(ask, actions)
            else:  # an upload may be taken elsewhere, and who is asking is not told there
                answer = await ask(authorization=None)
            if pause is None or not answer.is_passing:
                break
            await asyncio.sleep(pause)
        return answer

    async def _authorized(self, ask: Callable[..., Awaitable[Answer]], actions: str) -> Answer:
        authorization = await self._authorization.ready(actions)
        answer = await ask(authorization=authorization)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            other = await self._authorization.better(answer, actions, authorization)
            if other is not None:
                answer = await ask(authorization=other)
        return answer

    async def manifest(self, method: str, reference: str, *, actions: str = PULL) -> Answer | None:
        """Ask for a manifest of any kind, or give None if there is none.

        :param method: ``GET``, or ``HEAD`` for its headers alone.
        :param reference: a tag or a digest.
        :param actions: what the request is to be allowed.
        """
        target, headers = f"manifests/{reference}", {"Accept": ACCEPT}
        answer = await self.send(method, target, actions=actions, headers=headers)
        unsure = answer.status == HTTPStatus.NOT_FOUND and not answer.is_of_registry
        if unsure and method == "HEAD":
            # It has no body, which would tell a registry from whoever else finds nothing.
            answer = await self.send("GET", target, actions=actions, headers=headers)
        return None if answer.is_absence else answer.success()

    async def pages(self) -> AsyncGenerator[list[str], None]:
        """List the tags, a page at a time; there are none where there is no such repository."""
        answer = await self.send("GET", f"tags/list?n={PAGE}")
        if answer.status == HTTPStatus.BAD_REQUEST:
            # More than it is willing to give at once, where it says so instead of giving less.
            answer = await self.send("GET", "tags/list")
        if answer.is_absence:
            return
        seen = set()
        while True:
            yield _tags(answer)
            if answer.next is None:
                return
            # Behind a proxy, a registry may not know the name by which it is reached.
            target = URL(answer.next.raw_path_qs, encoded=True)
            if target in seen:
                raise UnexpectedAnswer("the pages of its list go round in a circle")
            seen.add(target)
            answer = await self.send("GET", target)

    async def exists(self) -> bool:
        """Determine whether the registry has the repository, which the first push makes."""
        answer = await self.send("GET", "tags/list?n=1")
        return not answer.is_absence and answer.success() is answer


def _tags(answer: Answer) -> list[str]:
    found = answer.success().json()
    if not isinstance(found, dict) or "tags" not in found:
        raise UnexpectedAnswer("there is no 'tags' in its list of tags")
    tags = found["tags"] or []  # null where there are none any more
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise UnexpectedAnswer("its list of tags is no list of names")
    return tags
