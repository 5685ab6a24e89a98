"""The repository contract for ``live``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.testing import RepositoryContract

from .driven_task import Driven, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .api_server import ApiServer


class LivePods(RepositoryContract):
    """Settings that do not depend on the mode of the pipeline."""

    stores = False
    persistent = False
    creates = False
    counts_requests = True
    page_size = 100
    foreign_names = ("no job", "-no-job")
    mode: Any

    @pytest.fixture
    async def repo(self, server: ApiServer) -> AsyncIterator[Any]:
        self.server = server
        driven = Driven(server)
        async with driven.open(mode=self.mode):
            yield driven.task.live

    @pytest.fixture
    async def broken(
        self, server: ApiServer, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[Any]:
        monkeypatch.setattr("pydatatask_kube.cluster.client.MAX_ATTEMPTS", 1)
        server.url = "http://127.0.0.1:9"
        driven = Driven(server)
        yield driven.task.live
        await driven.podman.close()

    async def populate(self, repo: Any, job: str) -> None:
        await self.litter(repo, job)

    async def litter(self, repo: Any, name: str) -> None:
        pods = self.server.pods
        if not any(pod["metadata"]["labels"]["job"] == name for pod in pods.values()):
            pod = self.server.add("task", name, name=f"pod{self.server.created.total()}")
            await self.shown(repo, pod)

    async def shown(self, repo: Any, pod: Any) -> None:
        """Wait until the repository knows a pod."""

    async def requests(self, repo: Any) -> int:
        return self.server.counts.total()

    async def test_validating_a_broken_repository_raises(self, broken: Any) -> None:
        """R10 does not apply: ``validate`` of :class:`KubeTask` lists the pods instead."""


class TestLookedAt(LivePods):
    mode = "inspect"


class TestDriven(LivePods):
    mode = "drive"

    async def shown(self, repo: Any, pod: Any) -> None:
        informer = repo.task.podman.informer
        await until(
            lambda: any(p["metadata"]["name"] == pod["metadata"]["name"] for p in informer.pods())
        )
