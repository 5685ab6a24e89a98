"""Requests to one repository of a registry."""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from yarl import URL

from .authorization import PULL, Authorization
from .manifests import ACCEPT
from .response import UnexpectedResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from .response import RegistryResponse
    from .transport import Transport

__all__ = ["Registry"]

PAGE_TAGS = 1000
"""The number of tags to request per page; a registry may send fewer, or all of them."""

RETRY_DELAYS_SECONDS = (0.05, 0.1, 0.2, 0.4)
"""The delays in seconds before successive retries of a request."""


class Registry:
    """A repository of a registry, accessed by authorized requests.

    :param transport: the transport of the requests.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._authorization = Authorization(transport)

    async def send(
        self,
        method: str,
        target: str | URL,
        *,
        actions: str = PULL,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> RegistryResponse:
        """Send a request with the authorization that the registry requires.

        Temporary failures are retried; distribution 2.8 fails if it reads data while writing it.

        :param method: the HTTP method.
        :param target: the URL, relative to that of the repository.
        :param actions: the actions that the request needs, for registries with tokens.
        :param headers: further headers.
        :param body: the body.
        """
        base = self._transport.base
        url = base.join(URL(target) if isinstance(target, str) else target)
        ours = (url.scheme, url.authority) == (base.scheme, base.authority)
        ask = partial(self._transport.send, method, url, headers=headers, body=body)
        for delay in (*RETRY_DELAYS_SECONDS, None):
            if ours:
                response = await self._authorized(ask, actions)
            else:  # an upload may go to another host, which must not get the credentials
                response = await ask(authorization=None)
            if delay is None or not response.is_transient:
                break
            await asyncio.sleep(delay)
        return response

    async def _authorized(
        self, ask: Callable[..., Awaitable[RegistryResponse]], actions: str
    ) -> RegistryResponse:
        authorization = await self._authorization.header(actions)
        response = await ask(authorization=authorization)
        if response.status == HTTPStatus.UNAUTHORIZED:
            other = await self._authorization.reauthorize(response, actions, authorization)
            if other is not None:
                response = await ask(authorization=other)
        return response

    async def manifest(
        self, method: str, reference: str, *, actions: str = PULL
    ) -> RegistryResponse | None:
        """Request a manifest of any media type; return None if it does not exist.

        :param method: ``GET``, or ``HEAD`` for the headers only.
        :param reference: a tag or a digest.
        :param actions: the actions that the request needs.
        """
        target, headers = f"manifests/{reference}", {"Accept": ACCEPT}
        response = await self.send(method, target, actions=actions, headers=headers)
        is_ambiguous = response.status == HTTPStatus.NOT_FOUND and not response.is_from_registry
        if is_ambiguous and method == "HEAD":
            # The response has no body, which would distinguish a registry from an intermediary.
            response = await self.send("GET", target, actions=actions, headers=headers)
        return None if response.is_not_found else response.raise_for_refusal()

    async def pages(self) -> AsyncGenerator[list[str], None]:
        """Yield the pages of the list of tags; no pages if the repository does not exist."""
        response = await self.send("GET", f"tags/list?n={PAGE_TAGS}")
        if response.status == HTTPStatus.BAD_REQUEST:
            # Some registries reject a page size above their limit instead of sending less.
            response = await self.send("GET", "tags/list")
        if response.is_not_found:
            return
        seen = set()
        while True:
            yield _tags(response)
            if response.next is None:
                return
            # Ignore the host: a registry behind a proxy may not know its public name.
            target = URL(response.next.raw_path_qs, encoded=True)
            if target in seen:
                raise UnexpectedResponse("the pages of its list of tags link in a circle")
            seen.add(target)
            response = await self.send("GET", target)

    async def exists(self) -> bool:
        """Return whether the repository exists; the first push creates it."""
        response = await self.send("GET", "tags/list?n=1")
        return not response.is_not_found and response.raise_for_refusal() is response


def _tags(response: RegistryResponse) -> list[str]:
    names = response.raise_for_refusal().json()
    if not isinstance(names, dict) or "tags" not in names:
        raise UnexpectedResponse("its list of tags has no key 'tags'")
    tags = names["tags"] or []  # null if all tags were deleted
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise UnexpectedResponse("its list of tags is not a list of strings")
    return tags
