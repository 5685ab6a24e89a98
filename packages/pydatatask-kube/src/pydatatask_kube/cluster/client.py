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
from pydatatask_kube.errors import PodManagerError, api_errors

from .clock import ServerClock
from .response import ApiResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    import aiohttp
    from kubernetes_asyncio.client import ApiClient, Configuration
    from kubernetes_asyncio.stream import WsApiClient

__all__ = ["Client"]

CONNECT_TIMEOUT_SECONDS = 10.0
"""Timeout for connections to the API server, in seconds."""

READ_TIMEOUT_SECONDS = 30.0

MAX_ATTEMPTS = 4
RETRY_TIMEOUT_SECONDS = 30.0
"""Seconds after which a failed request is not retried."""

_INITIAL_BACKOFF_SECONDS = 0.2
_MAX_BACKOFF_SECONDS = 10.0
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
        self.read_timeout = READ_TIMEOUT_SECONDS
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
                    await self._create_client()

    async def _create_client(self) -> None:
        with api_errors("connect", self.where):
            configuration = await _load_config(self._config, self.where)
            from kubernetes_asyncio.client import ApiClient

            from .connection import abort_on_close

            self._api = ApiClient(configuration)
            abort_on_close(self._api)
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

    async def _reload(self, refused: ApiClient) -> None:
        """Reload the configuration, unless another request has done so in the meantime."""
        async with self._lock:
            if refused is not self._api or self._closed:
                return
            websockets, self._api_ws = self._api_ws, None
            if websockets is not None:
                await websockets.close()
            await self._create_client()

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
        deadline = time.monotonic() + RETRY_TIMEOUT_SECONDS
        for attempt in range(MAX_ATTEMPTS):
            try:
                async with self.open_response(action, method, *args, **options) as response:
                    return _decode(await response.read(), action, self.where)
            except PodManagerError as e:
                wait = e.retry_after or min(
                    _INITIAL_BACKOFF_SECONDS * 4**attempt, _MAX_BACKOFF_SECONDS
                )
                wait *= random.uniform(0.5, 1.0) if e.retry_after is None else 1.0
                last = attempt == MAX_ATTEMPTS - 1 or time.monotonic() + wait > deadline
                if last or not e.transient or self._closed:
                    raise
            await asyncio.sleep(wait)
        raise AssertionError  # the last attempt returns or raises

    @asynccontextmanager
    async def open_response(
        self,
        action: str,
        method: str,
        *args: Any,
        read_timeout: float | None = None,
        **options: Any,
    ) -> AsyncGenerator[ApiResponse, None]:
        """Send a request once, and yield the response before its body is read.

        :param action: the purpose of the request, as an infinitive.
        :param method: the name of a method of ``CoreV1Api``.
        :param args: its arguments.
        :param read_timeout: the read timeout in seconds if it is not the usual one; 0 disables it.
        :param options: its keyword arguments.
        :raises PodManagerError: if it failed.
        """
        await self.connect()
        options["_request_timeout"] = (
            CONNECT_TIMEOUT_SECONDS,
            self.read_timeout if read_timeout is None else read_timeout,
        )
        for first in (True, False):
            client = self.api
            self._users[client] += 1
            try:
                raw_response = await self._send(client, action, method, args, options)
                try:
                    if raw_response.status != _UNAUTHORIZED or not first:
                        answer = ApiResponse(raw_response, action, self.where)
                        await answer.check()
                        yield answer
                        return
                finally:
                    raw_response.close()
                await self._reload(client)
            finally:
                await self._release(client)

    async def _send(
        self, client: ApiClient, action: str, method: str, args: Any, options: dict[str, Any]
    ) -> aiohttp.ClientResponse:
        from kubernetes_asyncio.client import CoreV1Api

        with api_errors(action, self.where):
            response: aiohttp.ClientResponse = await getattr(CoreV1Api(client), method)(
                *args, **options, _preload_content=False
            )
        self.clock.note(response.headers.get("Date"))
        return response


def _decode(body: bytes, action: str, where: str) -> Any:
    with api_errors(action, where):
        return json.loads(body)


async def _load_config(config: Any, where: str) -> Configuration:
    if config is not None:
        try:
            configuration = config()
            return await configuration if inspect.isawaitable(configuration) else configuration  # type: ignore[no-any-return]
        except Exception as e:
            cause = f"the callable `config` failed: {describe(e)}"
            raise PodManagerError("connect", where, cause) from e
    # In a thread with its own event loop: it reads files, and may run a program to get a token.
    return await asyncio.to_thread(_default_config, where)


def _kubeconfig_files(where: str) -> str:
    files = os.environ.get("KUBECONFIG") or "~/.kube/config"
    if not any(os.path.exists(os.path.expanduser(file)) for file in files.split(os.pathsep)):
        cause = f"there is no kubectl configuration at {files!r}; set KUBECONFIG to its path"
        raise PodManagerError("connect", where, cause)
    return files


def _default_config(where: str) -> Configuration:
    from kubernetes_asyncio import config
    from kubernetes_asyncio.client import Configuration

    configuration = Configuration()
    if _is_in_cluster():
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        asyncio.run(
            config.load_kube_config(_kubeconfig_files(where), client_configuration=configuration)
        )
    return configuration


def _is_in_cluster() -> bool:
    """Return whether this process runs in a pod without a kubectl configuration."""
    if os.environ.get("KUBECONFIG") or not os.environ.get("KUBERNETES_SERVICE_HOST"):
        return False
    return not os.path.exists(os.path.expanduser("~/.kube/config"))
