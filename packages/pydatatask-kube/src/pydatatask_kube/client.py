"""The clients of one cluster: made when needed, with bounded time-outs, and made anew on 401."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import random
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import SessionError

from .answer import Answer
from .errors import PodManagerError, api_errors

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    import aiohttp
    from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api
    from kubernetes_asyncio.stream import WsApiClient

__all__ = ["Client"]

CONNECT = 10.0
"""Seconds that the API server gets to accept a connection."""

SILENCE = 30.0
"""Seconds that it may say nothing in the middle of an ordinary answer."""

TRIES = 4
PATIENCE = 30.0
"""Seconds after which a request that failed is not made again."""

_FIRST_WAIT = 0.2
_LONGEST_WAIT = 10.0
_UNAUTHORIZED = 401


class Client:
    """Makes requests to the API server of a cluster, as JSON and never as typed models.

    :param config: gives the configuration; by default that of kubectl, or within a pod the pod's.
    :param namespace: the namespace, for messages.
    """

    def __init__(
        self, config: Callable[[], Configuration | Awaitable[Configuration]] | None, namespace: str
    ) -> None:
        self._config = config
        self._namespace = namespace
        self._lock = asyncio.Lock()
        self._generation = 0
        self._api: ApiClient | None = None
        self._api_ws: WsApiClient | None = None
        self._closed = False
        self._host = ""

    @property
    def where(self) -> str:
        """The namespace and server, for messages."""
        at = f" at {self._host}" if self._host else ""
        return f"namespace {self._namespace!r}{at}"

    @property
    def api(self) -> ApiClient:
        """The current client.

        :raises SessionError: if it is not connected.
        """
        if self._api is None:
            raise SessionError(
                "the pod manager is not connected: it is after `await podman.connect()`, or once "
                "anything was asked of it, and until it is closed"
            )
        return self._api

    @property
    def api_ws(self) -> WsApiClient:
        """The current client for websockets, as exec needs one.

        :raises SessionError: if it is not connected.
        """
        if self._api_ws is None:
            from kubernetes_asyncio.stream import WsApiClient

            self._api_ws = WsApiClient(configuration=self.api.configuration, heartbeat=30)
        return self._api_ws

    async def connect(self) -> None:
        """Load the configuration and make the client, unless that has been done.

        :raises PodManagerError: if there is no configuration that can be used.
        :raises SessionError: if it was closed.
        """
        if self._api is None:
            async with self._lock:
                if self._closed:
                    raise SessionError("the pod manager is closed")
                if self._api is None:
                    await self._make()

    async def _make(self) -> None:
        with api_errors("connect", self.where):
            configuration = await _loaded(self._config)
            from kubernetes_asyncio.client import ApiClient

            self._api = ApiClient(configuration)
        self._host = str(configuration.host)
        self._generation += 1

    async def close(self) -> None:
        """Close the connections; what is under way fails."""
        self._closed = True
        await self._drop()

    async def _drop(self) -> None:
        clients = [client for client in (self._api, self._api_ws) if client is not None]
        self._api = self._api_ws = None
        for client in clients:
            await client.close()

    async def _renew(self, generation: int) -> None:
        """Load the configuration again, unless somebody has since."""
        async with self._lock:
            if generation == self._generation and not self._closed:
                await self._drop()
                await self._make()

    # -- requests --------------------------------------------------------------------------------

    async def request(self, action: str, method: str, *args: Any, **options: Any) -> Any:
        """Make a request, again a few times if it fails in passing, and give the decoded answer.

        Whatever this asks for may be asked for twice: who creates something has to expect that
        an attempt that failed has created it.

        :param action: what it is for, as an infinitive.
        :param method: the name of a method of ``CoreV1Api``.
        :param args: its arguments.
        :param options: its keyword arguments.
        :raises PodManagerError: if it failed.
        """
        deadline = time.monotonic() + PATIENCE
        for attempt in range(TRIES):
            try:
                async with self.answer(action, method, *args, **options) as answer:
                    return _decoded(await answer.read(), action, self.where)
            except PodManagerError as e:
                wait = e.retry_after or min(_FIRST_WAIT * 4**attempt, _LONGEST_WAIT)
                wait *= random.uniform(0.5, 1.0) if e.retry_after is None else 1.0
                last = attempt == TRIES - 1 or time.monotonic() + wait > deadline
                if last or not e.transient or self._closed:
                    raise
            await asyncio.sleep(wait)
        raise AssertionError  # the last attempt returns or raises

    @asynccontextmanager
    async def answer(
        self, action: str, method: str, *args: Any, silence: float = SILENCE, **options: Any
    ) -> AsyncGenerator[Answer, None]:
        """Make a request once, and give the answer as it comes in.

        :param action: what it is for, as an infinitive.
        :param method: the name of a method of ``CoreV1Api``.
        :param args: its arguments.
        :param silence: for how many seconds the server may say nothing.
        :param options: its keyword arguments.
        :raises PodManagerError: if it failed.
        """
        await self.connect()
        generation = self._generation
        answer = await self._ask(action, method, args, silence, options)
        if answer.status == _UNAUTHORIZED:
            answer.close()
            await self._renew(generation)
            answer = await self._ask(action, method, args, silence, options)
        try:
            found = Answer(answer, action, self.where)
            await found.check()
            yield found
        finally:
            answer.close()

    async def _ask(
        self, action: str, method: str, args: Any, silence: float, options: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        with api_errors(action, self.where):
            return await getattr(self._v1, method)(  # type: ignore[no-any-return] # it is raw
                *args, **options, _preload_content=False, _request_timeout=(CONNECT, silence)
            )

    @property
    def _v1(self) -> CoreV1Api:
        from kubernetes_asyncio.client import CoreV1Api

        return CoreV1Api(self.api)


def _decoded(body: bytes, action: str, where: str) -> Any:
    with api_errors(action, where):
        return json.loads(body)


async def _loaded(config: Any) -> Configuration:
    if config is not None:
        given = config()
        return await given if inspect.isawaitable(given) else given  # type: ignore[no-any-return]
    # In a thread with a loop of its own: it reads files, and may run a program for the token.
    return await asyncio.to_thread(lambda: asyncio.run(_default()))


async def _default() -> Configuration:
    from kubernetes_asyncio import config
    from kubernetes_asyncio.client import Configuration

    configuration = Configuration()
    if _only_in_cluster():
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        await config.load_kube_config(client_configuration=configuration)
    return configuration


def _only_in_cluster() -> bool:
    """Tell whether this runs in a pod, and has no other configuration than the pod's."""
    if os.environ.get("KUBECONFIG") or not os.environ.get("KUBERNETES_SERVICE_HOST"):
        return False
    return not os.path.exists(os.path.expanduser("~/.kube/config"))
