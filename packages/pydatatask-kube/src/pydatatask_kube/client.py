"""The API client of a cluster: created on first use, with timeouts, renewed after a 401."""

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
"""Timeout for connections to the API server, in seconds."""

SILENCE = 30.0

TRIES = 4
PATIENCE = 30.0
"""Seconds after which a failed request is not retried."""

_FIRST_WAIT = 0.2
_LONGEST_WAIT = 10.0
_UNAUTHORIZED = 401


class Client:
    """A client of the API server of a cluster that exchanges JSON instead of typed models.

    :param config: returns the configuration; by default that of kubectl, or in a pod the pod's.
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
        """The number of open responses of each client."""
        self._closed = False
        self._host = ""
        self.clock = ServerClock()
        self.silence = SILENCE
        """Read timeout of ordinary responses, in seconds."""

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
                "the pod manager is not connected; call `await podman.connect()` or any other of "
                "its methods first, and do not use it after `close()`"
            )
        return self._api

    @property
    def api_ws(self) -> WsApiClient:
        """The current client for websockets, for example for exec.

        :raises SessionError: if it is not connected.
        """
        if self._api_ws is None:
            from kubernetes_asyncio.stream import WsApiClient

            self._api_ws = WsApiClient(configuration=self.api.configuration, heartbeat=30)
        return self._api_ws

    async def connect(self) -> None:
        """Load the configuration and create the client; do nothing if already connected.

        :raises PodManagerError: if there is no usable configuration.
        :raises SessionError: if the pod manager was closed.
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
        """Close the connections; all responses must have been closed."""
        self._closed = True
        clients = {*self._users, self._api, self._api_ws}
        self._api = self._api_ws = None
        self._users.clear()
        for client in clients - {None}:
            assert client is not None
            await client.close()

    async def _renew(self, refused: ApiClient) -> None:
        """Reload the configuration, unless another request has done so in the meantime."""
        async with self._lock:
            if refused is not self._api or self._closed:
                return
            websockets, self._api_ws = self._api_ws, None
            if websockets is not None:
                await websockets.close()
            await self._make()

    async def _release(self, client: ApiClient) -> None:
        """Close a replaced client after its last response, which is usually a watch, has been read.

        Closing it earlier would leave the reader waiting forever.
        """
        self._users[client] -= 1
        if not self._users[client]:
            del self._users[client]
            if client is not self._api:
                await client.close()

    # -- requests --------------------------------------------------------------------------------

    async def request(self, action: str, method: str, *args: Any, **options: Any) -> Any:
        """Send a request, with retries for transient failures, and return the decoded body.

        A request may be sent twice: if it creates an object, an attempt that failed may have
        created it.

        :param action: the purpose of the request, as an infinitive.
        :param method: the name of a method of ``CoreV1Api``.
        :param args: its arguments.
        :param options: its keyword arguments.
        :raises PodManagerError: if it failed.
        """
        await self.connect()  # outside the retries: a missing configuration is not transient
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
        """Send a request once, and yield the response before its body is read.

        :param action: the purpose of the request, as an infinitive.
        :param method: the name of a method of ``CoreV1Api``.
        :param args: its arguments.
        :param silence: the read timeout in seconds if it is not the usual one; 0 disables it.
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
            cause = f"the callable `config` failed: {describe(e)}"
            raise PodManagerError("connect", where, cause) from e
    # In a thread with its own event loop: it reads files, and may run a program to get a token.
    return await asyncio.to_thread(_default, where)


def _files(where: str) -> str:
    files = os.environ.get("KUBECONFIG") or "~/.kube/config"
    if not any(os.path.exists(os.path.expanduser(file)) for file in files.split(os.pathsep)):
        cause = f"there is no kubectl configuration at {files!r}; set KUBECONFIG to its path"
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
    """Return whether this process runs in a pod without a kubectl configuration."""
    if os.environ.get("KUBECONFIG") or not os.environ.get("KUBERNETES_SERVICE_HOST"):
        return False
    return not os.path.exists(os.path.expanduser("~/.kube/config"))
