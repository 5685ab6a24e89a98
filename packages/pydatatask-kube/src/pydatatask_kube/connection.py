"""Connections that end as soon as they are given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from kubernetes_asyncio.client import ApiClient

__all__ = ["give_up_at_once"]

LONGEST_EVENT = 1 << 21
"""How many bytes an event of a watch may have; of what a cluster keeps by default nothing has more
than three quarters of that."""


class _Answer(aiohttp.ClientResponse):
    """An answer that may be given up before its end."""

    def close(self) -> None:
        # TLS would bid the peer farewell and wait for its reply, for half a minute if there is
        # none; the socket would be left over where the event loop ends before that.
        connection = self.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        super().close()


def give_up_at_once(api: ApiClient) -> None:
    """Have a client end a connection at once whose answer is not read to its end.

    That is how each watch ends, and each request that is cancelled.

    :param api: the client, which has made no request yet.
    """
    rest = api.rest_client
    session = rest.pool_manager
    connector, trusting = session.connector, session.trust_env
    session.detach()
    rest.pool_manager = aiohttp.ClientSession(
        connector=connector,
        trust_env=trusting,
        read_bufsize=LONGEST_EVENT,
        response_class=_Answer,
    )
