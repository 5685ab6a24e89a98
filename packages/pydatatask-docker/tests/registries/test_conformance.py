"""The conformance suite, for registries of each kind."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.testing import RepositoryContract

from .clients import Requests, connected, new_name
from .conftest import made
from .images import Images

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.registry import RegistryServer


class TestTags(RepositoryContract):
    counts_requests = True
    bulk_info = True
    foreign_names = ("no-job", "no_job", "v1.0")

    @pytest.fixture
    async def repo(self, client: Any, images: Images, requests: Requests) -> Any:
        self.images, self.sent = images, requests.sent
        repo = made(client, images)
        await repo.validate()
        return repo

    @pytest.fixture
    def missing(self, client: Any, server: RegistryServer) -> Any:
        self.images = Images(server, new_name())
        return made(client, self.images)

    @pytest.fixture
    async def broken(self, server: RegistryServer, unused_tcp_port: int) -> AsyncIterator[Any]:
        nowhere = replace(server, domain=f"127.0.0.1:{unused_tcp_port}")
        async with connected(nowhere) as client:
            yield made(client, Images(nowhere, new_name()))

    async def populate(self, repo: Any, job: str) -> None:
        await asyncio.to_thread(self.images.push, job)

    async def reopen(self, repo: Any) -> Any:
        return made(repo.registry, self.images)

    async def litter(self, repo: Any, name: str) -> None:
        await self.populate(repo, name)

    async def requests(self, repo: Any) -> int:
        return len(self.sent)

    def entries(self, repo: Any) -> Any:
        return {**super().entries(repo), "digest": repo.digest}
