"""Pods that belong to no task, or that another client created for a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.pipeline import Pipeline
from pydatatask_core.pipeline.session_resources import open_for_reading
from pydatatask_core.pipeline.validation import log_config_warnings
from pydatatask_kube import KubeTask

from .driven_task import TEMPLATE, Driven, until

if TYPE_CHECKING:
    import pytest

    from .api_server import ApiServer


async def test_strays_are_reported_once_and_left_unchanged(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.add("gone", "job", name="stray")
    server.add("gone", "job", name="foreign", app="other")
    driven = Driven(server, "job")
    server.on_create = server.finish
    await driven.run()
    messages = [r.getMessage() for r in caplog.records if "belong to no task" in r.getMessage()]
    assert len(messages) == 1
    assert "1 pods" in messages[0]
    assert "'stray'" in messages[0]
    assert server.pods.keys() == {"stray", "foreign"}


async def test_strays_are_reported_in_inspection_mode_when_warnings_are_requested(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.add("gone", "job", name="stray")
    server.add("task", "job")
    driven = Driven(server, "job")
    beside = KubeTask("beside", lambda: driven.podman, driven.quota, TEMPLATE, None, None)
    driven.pipeline = Pipeline([driven.task, beside])
    async with driven.open(mode="inspect") as pipeline:
        assert "belong to no task" not in caplog.text
        await log_config_warnings(list(pipeline.tasks.values()))
    messages = [r.getMessage() for r in caplog.records if "belong to no task" in r.getMessage()]
    assert len(messages) == 1
    assert "1 pods" in messages[0]
    assert server.counts["list"] == 1


async def test_live_jobs_are_read_with_one_request_and_without_a_watch(server: ApiServer) -> None:
    server.add("task", "job")
    driven = Driven(server, "job")
    async with open_for_reading(driven.pipeline, [driven.task]):
        assert await driven.task.links["live"].repo.keys() == {"job"}
    await driven.podman.close()
    assert server.counts.total() == server.counts["list"] == 1
    assert not driven.task.running


async def test_a_pod_that_another_client_created_for_a_job_is_tracked(server: ApiServer) -> None:
    driven = Driven(server, "job")
    async with driven.open() as pipeline:
        pod = server.add("task", "job", name="by-hand")
        await until(lambda: "job" in driven.task.running)
        await pipeline.update()
        server.finish(pod)
        await until(lambda: driven.record("job"))
    assert server.counts["create"] == 0
