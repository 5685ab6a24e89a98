"""Connections that are aborted when their response is abandoned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from kubernetes_asyncio.client import ApiClient

__all__ = ["abort_on_close"]

MAX_EVENT_BYTES = 1 << 21
"""The maximum size of a watch event in bytes; objects of a cluster with the default limits have at
most three quarters of that."""


class _AbortingResponse(aiohttp.ClientResponse):
    """A response that can be closed before its end."""

    def close(self) -> None:
        # A TLS shutdown waits up to half a minute for the peer's reply, and leaks the socket if the
        # event loop ends before that.
        connection = self.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        super().close()


def abort_on_close(api: ApiClient) -> None:
    """Configure a client to abort the connection of a response that is not read to its end.

    Every watch and every cancelled request ends this way.

    :param api: the client, which must not have sent any request.
    """
    rest = api.rest_client
    session = rest.pool_manager
    connector, trust_env = session.connector, session.trust_env
    session.detach()
    rest.pool_manager = aiohttp.ClientSession(
        connector=connector,
        trust_env=trust_env,
        read_bufsize=MAX_EVENT_BYTES,
        response_class=_AbortingResponse,
    )
