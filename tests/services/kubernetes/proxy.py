"""A fault-injecting proxy on loopback between a client and an API server."""

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
    """Return the kind of a request about pods, for example ``watch``.

    :param method: the HTTP method.
    :param path: the path of the URL.
    :param query: the query parameters of the URL.
    """
    if path.endswith("/log"):
        return "log"
    if method == "GET":
        named = not path.endswith("/pods")
        return "get" if named else "watch" if query.get("watch") else "list"
    return {"POST": "create", "DELETE": "delete", "PATCH": "patch"}[method]


@dataclass(frozen=True)
class Fault:
    """A fault of a request: an error status, no response, or a truncated response.

    :param acted: whether the API server receives and processes the request before the fault.
    :param lines: the number of lines of the response before the fault; None to replace the whole
        response.
    :param half: whether half of the next line is sent as well.
    :param status: the error status to respond with; after some lines of a watch it is sent as an
        event.
    :param retry_after: the seconds after which the client is asked to retry.
    :param silent: whether to send nothing more and keep the connection open.
    """

    acted: bool = False
    lines: int | None = None
    half: bool = False
    status: int | None = None
    retry_after: int | None = None
    silent: bool = False


class Proxy:
    """A proxy that forwards requests, streams the responses, and injects faults.

    :param configuration: the client configuration for the API server.
    """

    def __init__(self, configuration: Any) -> None:
        self._target = configuration
        self.url = ""
        self.fault: Callable[[str, str], Fault | None] = lambda kind, path: None
        """Returns the fault of a request with a given kind and path, or None."""
        self.counts: Counter[str] = Counter()
        """The number of requests of each kind."""
        self.done: Counter[tuple[str, Fault]] = Counter()
        """The number of injected faults, by the kind of the request and the fault."""

    async def configuration(self) -> Any:
        """Return a client configuration for this proxy, with the same credentials."""
        configuration = client.Configuration(host=self.url)
        configuration.api_key = dict(self._target.api_key)
        return configuration

    async def __aenter__(self) -> Self:
        self._api = client.ApiClient(self._target)
        abort_on_close(self._api)
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # Cancel a handler when its client disconnects, so that no silent handler runs forever.
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
        """Inject a fault instead of a response."""
        self.done[kind, fault] += 1
        if fault.silent:
            await asyncio.Event().wait()
        if fault.status is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()  # never sent: the connection is closed
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
        """Inject a fault in the middle of a response."""
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
        request.transport.close()  # data written before is still delivered


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
