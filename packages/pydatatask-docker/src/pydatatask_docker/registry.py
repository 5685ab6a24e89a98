"""Requests to one repository of a registry."""

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
"""The number of tags to request per page; a registry may send fewer, or all of them."""

PAUSES = (0.05, 0.1, 0.2, 0.4)
"""The delays in seconds before successive retries of a request."""


class Registry:
    """A repository of a registry, accessed by authorized requests.

    :param channel: the transport of the requests.
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
        """Send a request with the authorization that the registry requires.

        Temporary failures are retried; distribution 2.8 fails if it reads data while writing it.

        :param method: the HTTP method.
        :param target: the URL, relative to that of the repository.
        :param actions: the actions that the request needs, for registries with tokens.
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
            else:  # an upload may go to another host, which must not get the credentials
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
        """Request a manifest of any media type; return None if it does not exist.

        :param method: ``GET``, or ``HEAD`` for the headers only.
        :param reference: a tag or a digest.
        :param actions: the actions that the request needs.
        """
        target, headers = f"manifests/{reference}", {"Accept": ACCEPT}
        answer = await self.send(method, target, actions=actions, headers=headers)
        unsure = answer.status == HTTPStatus.NOT_FOUND and not answer.is_of_registry
        if unsure and method == "HEAD":
            # The response has no body, which would distinguish a registry from an intermediary.
            answer = await self.send("GET", target, actions=actions, headers=headers)
        return None if answer.is_absence else answer.success()

    async def pages(self) -> AsyncGenerator[list[str], None]:
        """Yield the pages of the list of tags; no pages if the repository does not exist."""
        answer = await self.send("GET", f"tags/list?n={PAGE}")
        if answer.status == HTTPStatus.BAD_REQUEST:
            # Some registries reject a page size above their limit instead of sending less.
            answer = await self.send("GET", "tags/list")
        if answer.is_absence:
            return
        seen = set()
        while True:
            yield _tags(answer)
            if answer.next is None:
                return
            # Ignore the host: a registry behind a proxy may not know its public name.
            target = URL(answer.next.raw_path_qs, encoded=True)
            if target in seen:
                raise UnexpectedAnswer("the pages of its list of tags link in a circle")
            seen.add(target)
            answer = await self.send("GET", target)

    async def exists(self) -> bool:
        """Return whether the repository exists; the first push creates it."""
        answer = await self.send("GET", "tags/list?n=1")
        return not answer.is_absence and answer.success() is answer


def _tags(answer: Answer) -> list[str]:
    found = answer.success().json()
    if not isinstance(found, dict) or "tags" not in found:
        raise UnexpectedAnswer("its list of tags has no key 'tags'")
    tags = found["tags"] or []  # null if all tags were deleted
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise UnexpectedAnswer("its list of tags is not a list of strings")
    return tags
