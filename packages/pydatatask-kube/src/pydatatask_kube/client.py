"""The clients of one cluster: made when needed, with bounded time-outs, and made anew on 401."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import random
import time
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import SessionError, describe

from .answer import Answer
from .clock import ServerClock
from .errors import PodManagerError, api_errors

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    import aiohttp
    from kubernetes_asyncio.client import ApiClient, Configuration
    from kubernetes_asyncio.stream import WsApiClient

__all__ = ["Client"]

CONNECT = 10.0
"""Seconds that the API server gets to accept a connection."""

SILENCE = 30.0

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
        self._api: ApiClient | None = None
        self._api_ws: WsApiClient | None = None
        self._users: Counter[ApiClient] = Counter()
        """How many answers of each client are being read."""
        self._closed = False
        self._host = ""
        self.clock = ServerClock()
        self.silence = SILENCE
        """Seconds that the server may say nothing in the middle of an ordinary answer."""

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
            configuration = await _loaded(self._config, self.where)
            from kubernetes_asyncio.client import ApiClient

            from .connection import give_up_at_once

            self._api = ApiClient(configuration)
            give_up_at_once(self._api)
        self._host = str(configuration.host)

    async def close(self) -> None:
        """Close the connections; who reads an answer has ended before."""
        self._closed = True
        clients = {*self._users, self._api, self._api_ws}
        self._api = self._api_ws = None
        self._users.clear()
        for client in clients - {None}:
            assert client is not None
            await client.close()

    async def _renew(self, refused: ApiClient) -> None:
        """Load the configuration again, unless somebody has since."""
        async with self._lock:
            if refused is not self._api or self._closed:
                return
            websockets, self._api_ws = self._api_ws, None
            if websockets is not None:
                await websockets.close()
            await self._make()

    async def _release(self, client: ApiClient) -> None:
        """Close a client that was replaced when the last of its answers is read, a watch mostly.

        To close it before would leave who reads waiting for what never comes.
        """
        self._users[client] -= 1
        if not self._users[client]:
            del self._users[client]
            if client is not self._api:
                await client.close()

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
        await self.connect()  # a configuration that is missing is not missing in passing
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
        self, action: str, method: str, *args: Any, silence: float | None = None, **options: Any
    ) -> AsyncGenerator[Answer, None]:
        """Make a request once, and give the answer as it comes in.

        :param action: what it is for, as an infinitive.
        :param method: the name of a method of ``CoreV1Api``.
        :param args: its arguments.
        :param silence: for how many seconds the server may say nothing, if not as many as usual;
            0 is for ever.
        :param options: its keyword arguments.
        :raises PodManagerError: if it failed.
        """
        await self.connect()
        options["_request_timeout"] = (CONNECT, self.silence if silence is None else silence)
        for first in (True, False):
            client = self.api
            self._users[client] += 1
            try:
                response = await self._ask(client, action, method, args, options)
                try:
                    if response.status != _UNAUTHORIZED or not first:
                        answer = Answer(response, action, self.where)
                        await answer.check()
                        yield answer
                        return
                finally:
                    response.close()
                await self._renew(client)
            finally:
                await self._release(client)

    async def _ask(
        self, client: ApiClient, action: str, method: str, args: Any, options: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        from kubernetes_asyncio.client import CoreV1Api

        with api_errors(action, self.where):
            response: aiohttp.ClientResponse = await getattr(CoreV1Api(client), method)(
                *args, **options, _preload_content=False
            )
        self.clock.note(response.headers.get("Date"))
        return response


def _decoded(body: bytes, action: str, where: str) -> Any:
    with api_errors(action, where):
        return json.loads(body)


async def _loaded(config: Any, where: str) -> Configuration:
    if config is not None:
        try:
            given = config()
            return await given if inspect.isawaitable(given) else given  # type: ignore[no-any-return]
        except Exception as e:
            cause = f"the config that was given failed: {describe(e)}"
            raise PodManagerError("connect", where, cause) from e
    # In a thread with a loop of its own: it reads files, and may run a program for the token.
    return await asyncio.to_thread(_default, where)


def _files(where: str) -> str:
    files = os.environ.get("KUBECONFIG") or "~/.kube/config"
    if not any(os.path.exists(os.path.expanduser(file)) for file in files.split(os.pathsep)):
        cause = f"there is no configuration of kubectl, {files!r}; set KUBECONFIG to one"
        raise PodManagerError("connect", where, cause)
    return files


def _default(where: str) -> Configuration:
    from kubernetes_asyncio import config
    from kubernetes_asyncio.client import Configuration

    configuration = Configuration()
    if _only_in_cluster():
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        asyncio.run(config.load_kube_config(_files(where), client_configuration=configuration))
    return configuration


def _only_in_cluster() -> bool:
    """Tell whether this runs in a pod, and has no other configuration than the pod's."""
    if os.environ.get("KUBECONFIG") or not os.environ.get("KUBERNETES_SERVICE_HOST"):
        return False
    return not os.path.exists(os.path.expanduser("~/.kube/config"))
