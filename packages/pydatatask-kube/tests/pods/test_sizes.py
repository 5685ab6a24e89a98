"""Answers of an API server are bounded in size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pydatatask_kube import PodManagerError

if TYPE_CHECKING:
    from .api_server import ApiServer


async def test_an_answer_that_is_too_large_is_refused_and_not_asked_for_again(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pydatatask_kube.cluster.response.MAX_ANSWER_BYTES", 100_000)
    pod = server.add("task", "job")
    pod["metadata"]["annotations"] = {"huge": "x" * 100_000}
    manager = server.manager()
    try:
        with pytest.raises(PodManagerError, match="the answer has more than 100,000 bytes"):
            await manager.query()
        assert server.counts["list"] == 1
        pod["metadata"]["annotations"] = {"huge": "x" * 10_000}
        assert [found.metadata.name for found in await manager.query()] == [pod["metadata"]["name"]]
    finally:
        await manager.close()
