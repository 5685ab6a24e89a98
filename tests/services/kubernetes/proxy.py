"""A proxy on loopback between a client and an API server that breaks things on purpose."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web
from kubernetes_asyncio import client

from pydatatask_kube.cluster.connection import abort_on_close

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    import aiohttp

__all__ = ["Fault", "Proxy", "kind_of"]

_LARGEST_REQUEST = 1 << 22
_NOT_PASSED_ON = {"host", "accept-encoding", "content-length", "connection"}
_NAMES = {410: "Expired", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}


def kind_of(method: str, path: str, query: Mapping[str, str]) -> str:
    """Say in a word what a request for pods asks for.

    :param method: the method of HTTP.
    :param path: the path.
    :param query: what is behind it.
    """
    if path.endswith("/log"):
        return "log"
    if method == "GET":
        named = not path.endswith("/pods")
        return "get" if named else "watch" if query.get("watch") else "list"
    return {"POST": "create", "DELETE": "delete", "PATCH": "patch"}[method]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request: it is answered with a status, or never, or cut off.

    :param acted: whether the API server gets the request, and acts on it, before that.
    :param lines: after how many lines of its answer that is; None is in the place of the answer.
    :param half: whether half of the next line comes through as well.
    :param status: the status to answer with, or after some lines of a watch to tell as an event.
    :param retry_after: after how many seconds the client is to ask again.
    :param silent: whether nothing more is said, with the connection kept open.
    """

    acted: bool = False
    lines: int | None = None
    half: bool = False
    status: int | None = None
    retry_after: int | None = None
    silent: bool = False


class Proxy:
    """Forwards requests, and what is answered while it comes in, but for what is to go wrong.

    :param configuration: the client's configuration for the API server.
    """

    def __init__(self, configuration: Any) -> None:
        self._target = configuration
        self.url = ""
        self.fault: Callable[[str, str], Fault | None] = lambda kind, path: None
        """Says of each request, by its kind and path, what is to go wrong."""
        self.counts: Counter[str] = Counter()
        """How many requests of which kind there were."""
        self.done: Counter[tuple[str, Fault]] = Counter()
        """What has gone wrong, with requests of which kind."""

    async def configuration(self) -> Any:
        """Give a configuration for this proxy, with the same credentials."""
        configuration = client.Configuration(host=self.url)
        configuration.api_key = dict(self._target.api_key)
        return configuration

    async def __aenter__(self) -> Self:
        self._api = client.ApiClient(self._target)
        abort_on_close(self._api)
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # A handler ends with the connection of its client, so that none is silent for ever.
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()
        await self._api.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        kind = kind_of(request.method, request.path, request.query)
        self.counts[kind] += 1
        fault = self.fault(kind, request.path)
        if fault is not None and not fault.acted:
            return await self._instead(request, kind, fault)
        kept = {k: v for k, v in request.headers.items() if k.lower() not in _NOT_PASSED_ON}
        async with self._api.rest_client.pool_manager.request(
            request.method,
            self._target.host + request.path_qs,
            headers=kept,
            data=await request.read(),
        ) as answer:
            if fault is None or fault.lines is not None:
                return await self._forward(request, answer, kind, fault)
            await answer.read()
            return await self._instead(request, kind, fault)

    async def _instead(self, request: web.Request, kind: str, fault: Fault) -> web.Response:
        """Have it go wrong in the place of an answer."""
        self.done[kind, fault] += 1
        if fault.silent:
            await asyncio.Event().wait()
        if fault.status is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()  # to nobody
        after = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        return web.json_response(_told(fault.status), status=fault.status, headers=after)

    async def _forward(
        self, request: web.Request, answer: aiohttp.ClientResponse, kind: str, fault: Fault | None
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]}
        )
        response.enable_chunked_encoding()
        await response.prepare(request)
        number = 0
        async for line in _lines(answer):
            if fault is not None and number == fault.lines:
                await self._amid(request, response, kind, fault, line)
                break
            await response.write(line)
            number += 1
        return response

    async def _amid(
        self,
        request: web.Request,
        response: web.StreamResponse,
        kind: str,
        fault: Fault,
        line: bytes,
    ) -> None:
        """Have it go wrong in the middle of an answer."""
        self.done[kind, fault] += 1
        if fault.half:
            await response.write(line[: len(line) // 2])
        if fault.status is not None:
            event = {"type": "ERROR", "object": _told(fault.status)}
            await response.write(json.dumps(event).encode() + b"\n")
            return
        if fault.silent:
            await asyncio.Event().wait()
        assert request.transport is not None
        request.transport.close()  # what was written until now arrives


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    while line := await answer.content.readline():
        yield line


def _told(status: int) -> dict[str, Any]:
    return {
        "kind": "Status",
        "status": "Failure",
        "code": status,
        "reason": _NAMES[status],
        "message": "on purpose",
    }
