"""Abandoned TLS connections whose peer sends nothing, not even a TLS shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import ssl
import threading
import warnings
from typing import TYPE_CHECKING

import pytest
from kubernetes_asyncio.client import Configuration
from services.tls import Identity

from pydatatask_kube import PodManager

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

_EVENT = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"2"}}}\n'
_PODS = json.dumps({"items": [], "metadata": {"resourceVersion": "1"}}).encode()


class Silent:
    """An API server that lists no pods, sends one event, and then hangs.

    :param identity: its key and certificate.
    """

    def __init__(self, identity: Identity) -> None:
        self.asked = threading.Event()
        """Set when a request was received that it will not answer completely."""
        self._certificate = str(identity.certificate)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(identity.certificate, identity.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def manager(self) -> PodManager:
        """Create a pod manager for it."""

        def configuration() -> Configuration:
            host = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
            made = Configuration(host=host)
            made.ssl_ca_cert = self._certificate
            return made

        return PodManager("app", "testing", configuration)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                raw, _ = self._listener.accept()
                self._open.append(self._context.wrap_socket(raw, server_side=True))
                self._answer(self._open[-1])

    def _answer(self, client: socket.socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        while not self.asked.is_set():
            request = client.recv(1 << 16)
            if b"watch=" in request:
                size = f"Content-Length: {10 * len(_EVENT)}\r\n\r\n".encode()
                client.sendall(head + size + _EVENT)
                self.asked.set()
            elif b"/log" in request:
                self.asked.set()
            else:
                size = f"Content-Length: {len(_PODS)}\r\n\r\n".encode()
                client.sendall(head + size + _PODS)

    def close(self) -> None:
        """Stop the server."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for client in self._open:
            client.close()


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Silent]:
    server = Silent(Identity.made(tmp_path, "server"))
    yield server
    server.close()


async def _watch(silent: Silent, podman: PodManager) -> None:
    class Nobody:
        def on_pod(self, pod: object, gone: bool) -> None: ...
        def on_listed(self, began: float) -> None: ...

    podman.informer.subscribe("task", Nobody())
    await podman.informer.wait_synced()
    await asyncio.to_thread(silent.asked.wait, 30)


async def _cancel_a_request(silent: Silent, podman: PodManager) -> None:
    async def read() -> None:
        async with podman.log("pod", "main") as answer:
            await answer.read()

    reading = asyncio.create_task(read())
    await asyncio.to_thread(silent.asked.wait, 30)
    reading.cancel()
    await asyncio.wait([reading])


@pytest.mark.parametrize("act", [_watch, _cancel_a_request])
def test_no_connection_outlives_the_event_loop(
    silent: Silent, act: Callable[[Silent, PodManager], Awaitable[None]]
) -> None:
    async def main() -> None:
        podman = silent.manager()
        await act(silent, podman)
        await podman.close()

    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always")
        asyncio.run(main())
        gc.collect()
    assert silent.asked.is_set()
    assert [str(warning.message) for warning in left] == []
