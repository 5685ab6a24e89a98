"""Clients of a registry, created in the same way as by users."""

from __future__ import annotations

import ssl
import uuid
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from docker_registry_client_async import DockerRegistryClientAsync

from .images import credentials

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.registry import RegistryServer

__all__ = ["Requests", "connected", "new_name"]


class Requests:
    """A recorder of the methods and paths of a client's requests."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.trace = aiohttp.TraceConfig()
        self.trace.on_request_start.append(self._note)

    async def _note(self, session: Any, context: Any, started: Any) -> None:
        self.sent.append(f"{started.method} {started.url.raw_path_qs}")


@asynccontextmanager
async def connected(
    server: RegistryServer, requests: Requests | None = None, password: str | None = None
) -> AsyncIterator[DockerRegistryClientAsync]:
    """Yield an open client.

    :param server: the registry, with its credentials.
    :param requests: the recorder of the client's requests.
    :param password: a password to use instead of the right one; if it is empty, the client has no
        credentials.
    """
    trusted = None
    if server.certificate is not None:
        trusted = ssl.create_default_context(cafile=server.certificate)
    traces = [] if requests is None else [requests.trace]
    async with DockerRegistryClientAsync(
        credentials_store=Path("/nonexistent/config.json"),
        client_session_kwargs={"trace_configs": traces},
        no_proxy=server.domain,
        ssl=trusted,
    ) as client:
        if password != "":
            known = server if password is None else replace(server, password=password)
            await client.add_credentials(credentials=credentials(known), endpoint=server.domain)
        yield client


def new_name() -> str:
    """Return an unused repository name."""
    return f"tests/jobs-{uuid.uuid4().hex[:12]}"
