"""Law T6 for pods: a job whose pod succeeds without writing an output has failed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import StoreConnectionError
from pydatatask_core.pipeline import Pipeline
from pydatatask_core.repository import InProcessMetadataRepository
from pydatatask_core.resource_manager import ResourceManager, Resources
from pydatatask_core.task import Retries
from pydatatask_kube import KubeFunctionTask, KubeTask
from pydatatask_kube.errors import PodManagerError

from .driven_task import TEMPLATE, Driven, until

if TYPE_CHECKING:
    from .api_server import ApiServer

REASON = "succeeded without writing its output `out`"


class Remote(InProcessMetadataRepository):
    """A repository that behaves like a remote one, whose listings wait for ``go``."""

    looks_up_locally = False

    def __init__(self) -> None:
        super().__init__()
        self.listings = 0
        self.problem: Exception | None = None
        self.go = asyncio.Event()
        self.go.set()

    async def keys(self) -> frozenset[str]:
        self.listings += 1
        await self.go.wait()
        if self.problem is not None:
            raise self.problem
        return await super().keys()

    async def contains(self, item: str) -> bool:
        raise AssertionError("one request per job is not allowed")


def driven_with(server: ApiServer, out: Any, *jobs: str, **options: Any) -> Driven:
    """Return a task whose pods write to ``out``, except those of jobs called ``bad``."""
    driven = Driven(server, *jobs, **options)
    driven.task.link("out", out, is_output=True)

    def run(pod: Any) -> None:
        job = pod["metadata"]["labels"]["job"]
        if not job.startswith("bad"):
            out._data[job] = 1  # as a program in the pod would
            out._dirty = True
        server.finish(pod)

    server.on_create = run
    return driven


async def test_a_pod_that_does_not_write_its_output_has_failed(server: ApiServer) -> None:
    driven = driven_with(server, InProcessMetadataRepository(), "bad", "good")
    after = KubeTask("after", lambda: driven.podman, driven.quota, TEMPLATE, None, None)
    after.plug(driven.task)
    after.link("inp", driven.inp, is_input=True)
    after.disabled = True
    driven.pipeline.tasks["after"] = after
    summary = await driven.run()
    assert summary.failed == {"task": ["bad"]}
    record = driven.record("bad")
    assert record["success"] is False
    assert record["return_code"] == 0
    assert record["reason"].startswith(REASON)
    assert record["missing_outputs"] == ["out"]
    assert driven.record("good")["success"] is True
    assert not server.pods
    async with driven.open() as pipeline:
        assert await pipeline.gather_ready_jobs(after) == {"good"}


async def test_one_listing_serves_many_pods(server: ApiServer) -> None:
    out = Remote()
    out.go.clear()
    jobs = {*(f"j{n}" for n in range(20)), "bad"}
    driven = driven_with(server, out, *jobs)
    async with driven.running() as run:
        await until(lambda: driven.task.output_check.checking == jobs)
        assert driven.done.data == {}
        out.go.set()
        summary = await asyncio.wait_for(run, 30)
    assert summary.failed == {"task": ["bad"]}
    assert out.listings == 2


async def test_a_missing_output_is_retried_like_any_failure(server: ApiServer) -> None:
    out = InProcessMetadataRepository()
    driven = driven_with(server, out, "bad", retries=Retries(1, delay=0.01))
    before = server.on_create

    def run(pod: Any) -> None:
        if server.counts["create"] > 1:
            out._data["bad"] = 1
        before(pod)

    server.on_create = run
    await driven.run()
    assert (driven.record("bad")["attempt"], driven.record("bad")["success"]) == (2, True)


async def test_a_pod_that_will_be_retried_is_not_recorded_as_a_success_before(
    server: ApiServer,
) -> None:
    out = InProcessMetadataRepository()
    driven = driven_with(server, out, "bad", retries=Retries(1, delay=0.01))
    remove, dump = driven.podman.remove, driven.done.dump
    recorded: list[int] = []

    async def fail_once(name: str, uid: str, grace: int | None = None) -> None:
        if not out._data:
            out._data["bad"], out._dirty = 1, True  # it appears after the verdict
            raise PodManagerError("delete a pod", "the cluster", "it is down")
        await remove(name, uid, grace)

    async def note(job: str, data: Any) -> None:
        recorded.append(data["attempt"])
        await dump(job, data)

    driven.podman.remove = fail_once  # type: ignore[method-assign]
    driven.done.dump = note  # type: ignore[method-assign]
    await driven.run()
    assert recorded == [2]
    assert driven.record("bad")["success"] is True


async def test_a_missing_output_is_a_failure_in_synchronous_mode_too(server: ApiServer) -> None:
    driven = driven_with(server, InProcessMetadataRepository(), "bad")
    async with driven.open() as pipeline:
        pipeline.settings(synchronous=True)
        await driven.task.launch("bad")
    assert driven.record("bad")["reason"].startswith(REASON)


async def test_a_pod_is_kept_while_its_outputs_cannot_be_listed(server: ApiServer) -> None:
    out = Remote()
    out.problem = StoreConnectionError("list", out, "down")
    driven = driven_with(server, out, "bad")
    async with driven.running() as run:
        await until(lambda: out.listings >= 2)
        assert driven.done.data == {}
        assert server.pods
        out.problem = None
        assert (await asyncio.wait_for(run, 30)).failed == {"task": ["bad"]}
    assert not server.pods


async def test_a_function_must_write_its_outputs_in_its_pod(server: ApiServer) -> None:
    podman = server.manager()
    inp = InProcessMetadataRepository({"own": 1, "others": 1, "bad": 1})
    out, func_done = InProcessMetadataRepository(), InProcessMetadataRepository()
    quota = ResourceManager(Resources.parse(10, "1Gi"))
    task = KubeFunctionTask("task", lambda: podman, quota, TEMPLATE, func_done=func_done)

    @task
    async def body(job: str, out: Any) -> None:
        if job != "bad":
            await out.dump(job if job == "own" else f"{job}1", 1)

    task.link("inp", inp, is_input=True)
    task.link("out", out, is_output=True)
    raised = {}
    pipeline = Pipeline([task])
    await pipeline.open(mode="one", only=["task"])
    pipeline.settings(synchronous=True)
    for job in inp.data:
        try:
            await task.launch(job)
        except Exception as e:  # noqa: BLE001 - its class and text are checked below
            raised[job] = f"{type(e).__name__}: {e}"
    await pipeline.close()
    await podman.close()
    assert list(raised) == ["bad"]
    assert raised["bad"].startswith("TaskError")
    assert REASON in raised["bad"]
    assert func_done.data["bad"]["success"] is False
    assert func_done.data["bad"]["missing_outputs"] == ["out"]
    assert func_done.data["others"]["fan_out"] == ["out"]
    assert func_done.data["own"]["success"] is True
