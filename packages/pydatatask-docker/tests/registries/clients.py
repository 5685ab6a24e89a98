"""Clients of a registry, as users make them."""

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
    """Notes the requests that a client sends, as verbs and paths."""

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
    """Hold a client open.

    :param server: the registry that it has the credentials of.
    :param requests: what notes its requests.
    :param password: another password than the right one, or none if it is empty.
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
    """Give the name of a repository that nobody has used yet."""
    return f"tests/jobs-{uuid.uuid4().hex[:12]}"
