"""Pods that remain after their outcome is recorded, and pods that do not disappear."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.repository import InProcessMetadataRepository
from pydatatask_core.task import Retries
from pydatatask_core.task.detached.recorder import MAX_CONCURRENT_RECORDS
from pydatatask_kube.pod_names import name_of, uid_of

from .driven_task import Driven, until

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from .api_server import ApiServer
    from .pod_json import Pod


async def _die_before_the_pod_is_deleted(server: ApiServer, *jobs: str) -> Driven:
    """Return a task whose driver recorded the outcomes of jobs without deleting the pods."""
    driven = Driven(server, *jobs)
    server.refuse = lambda what: 403 if what == "delete" else None
    server.on_create = server.finish
    async with driven.open():
        for job in jobs:
            await driven.task.launch(job)
        await until(lambda: driven.done.data.keys() == set(jobs))
    server.refuse = lambda what: None
    assert len(server.pods) == len(jobs)
    return driven


async def test_the_next_driver_deletes_the_pod_and_records_nothing(server: ApiServer) -> None:
    driven = await _die_before_the_pod_is_deleted(server, "job")
    driven.done.data["job"]["mark"] = True
    summary = await driven.run()
    assert not server.pods
    assert driven.record("job")["mark"] is True
    assert summary.launched == {}
    assert server.counts["log"] == 1


async def test_pods_of_recorded_jobs_can_be_deleted_before_the_records(
    server: ApiServer,
) -> None:
    driven = await _die_before_the_pod_is_deleted(server, "job", "other", "replaced")
    server.add("task", "runs")
    driven.done.data["replaced"]["uid"] = "that of an earlier pod"
    async with driven.open(mode="inspect"):
        await driven.task.clean_up({"job", "runs", "replaced"})
        assert await driven.task.live.keys() == {"other", "runs", "replaced"}
    del driven.done.data["job"], driven.logs.data["job"]
    created = server.created["job"]
    async with driven.running():
        await until(lambda: driven.record("job"))
    assert server.created["job"] == created + 1


async def test_without_records_no_pod_is_deleted(server: ApiServer) -> None:
    driven = Driven(server, done=None)
    server.finish(server.add("task", "job"))
    async with driven.open(mode="inspect"):
        await driven.task.clean_up({"job"})
    assert server.pods


async def test_an_outcome_is_recorded_again_if_its_record_was_deleted(server: ApiServer) -> None:
    # The pod looks like one whose outcome was never recorded, which must not be lost.
    driven = await _die_before_the_pod_is_deleted(server, "job")
    driven.done.data.clear()
    driven.logs.data.clear()
    summary = await driven.run()
    assert driven.record("job")["success"] is True
    assert summary.launched == {}
    assert not server.pods
    assert server.created == {"job": 1}


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the time after which a pod that does not disappear is reported."""
    monkeypatch.setattr("pydatatask_kube.jobs.terminating_pods.DELETION_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr("pydatatask_kube.jobs.terminating_pods._DEFAULT_GRACE_SECONDS", 0.0)


def _told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "does not disappear" in r.getMessage()]


def _held(server: ApiServer, *, code: int = 0) -> None:
    """End each created pod at once, with a finalizer."""

    def hold(pod: Pod) -> None:
        server.hold(pod)
        server.finish(pod, code)

    server.on_create = hold


@pytest.mark.usefixtures("_impatient")
async def test_a_pod_with_a_finalizer_is_recorded_and_reported_once_and_does_not_stop_a_run(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    records = Counting()
    driven = Driven(server, *(jobs := [f"job{i}" for i in range(20)]), done=records)
    _held(server)
    for _ in range(2):  # the second driver finds the pods, and their records
        summary = await driven.run()
        assert summary.failed == {}
        assert await _live_jobs(driven) == set(jobs)
        assert len(_told(caplog)) == 20
        caplog.clear()
    assert records.dumped == Counter(jobs)
    assert server.created == Counter(jobs)
    for pod in list(server.pods.values()):
        server.remove(pod)
    assert (await driven.run()).launched == {}


async def _live_jobs(driven: Driven) -> AbstractSet[str]:
    async with driven.open(mode="inspect"):
        return await driven.task.live.keys()


class Counting(InProcessMetadataRepository):
    """A repository that counts how often each job is recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.dumped: Counter[str] = Counter()

    async def dump(self, job: str, data: Any) -> None:
        self.dumped[job] += 1
        await super().dump(job, data)


@pytest.mark.usefixtures("_impatient")
async def test_a_job_is_retried_after_its_earlier_pod_is_deleted_and_blocks_no_other_job(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    held = [f"held{i}" for i in range(MAX_CONCURRENT_RECORDS + 1)]
    driven = Driven(server, *held, retries=Retries(1, delay=0.0))
    _held(server, code=1)
    async with driven.running():
        await until(lambda: len(_told(caplog)) == len(held))
        server.on_create = server.finish
        driven.inp.data["free"] = 1
        await until(lambda: driven.record("free"))
        assert server.created == Counter([*held, "free"])
        for pod in list(server.pods.values()):
            server.remove(pod)
        await until(lambda: driven.done.data.keys() == {"free", *held})
    assert {driven.record(job)["attempt"] for job in held} == {2}
    assert len(_told(caplog)) == len(held)


@pytest.mark.parametrize("how", ["kill", "delete"])
async def test_a_job_that_waits_for_the_deletion_of_its_pod_can_be_ended(
    server: ApiServer, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven = Driven(server, "job", retries=Retries(1, delay=0.0))
    _held(server, code=1)
    async with driven.open():
        await driven.task.launch("job")
        await until(lambda: driven.task._tracker.jobs["job"].waits_for_name)
        if how == "kill":
            assert await asyncio.wait_for(driven.task.kill("job"), 20)
        else:
            monkeypatch.setattr(
                "pydatatask_kube.jobs.terminating_pods.DELETION_TIMEOUT_SECONDS", 0.1
            )
            monkeypatch.setattr("pydatatask_kube.jobs.terminating_pods._DEFAULT_GRACE_SECONDS", 0.0)
            await asyncio.wait_for(driven.task.live.delete("job"), 20)
        assert not driven.task.running
        server.remove(server.of("job"))
        await until(lambda: not driven.podman.informer.pods("task"))
        assert not driven.task.running
    assert (driven.record("job") or {}).get("killed") is (True if how == "kill" else None)
    assert server.created == {"job": 1}


async def test_pods_that_terminate_slowly_do_not_delay_the_recording_of_others(
    server: ApiServer,
) -> None:
    slow = [f"slow{i}" for i in range(MAX_CONCURRENT_RECORDS)]
    driven = Driven(server, *slow, "quick")
    async with driven.open():
        for job in [*slow, "quick"]:
            await driven.task.launch(job)
            server.run(server.of(job))
        killing = [asyncio.create_task(driven.task.kill(job)) for job in slow]
        await until(lambda: driven.done.data.keys() == set(slow))
        server.finish(server.of("quick"))
        await until(lambda: driven.record("quick"))
        await until(lambda: not driven.task._tracker.pending_records)
        assert not any(task.done() for task in killing)
        for job in slow:  # a finalizer keeps the ended pods
            server.finish(server.of(job), code=137)
        await asyncio.wait_for(asyncio.gather(*killing), 20)
        assert len(server.pods) == MAX_CONCURRENT_RECORDS


async def test_a_pod_that_is_deleted_before_it_has_a_node_has_ended_despite_a_finalizer(
    server: ApiServer,
) -> None:
    driven = Driven(server, "job")
    async with driven.open():
        await driven.task.launch("job")
        server.hold(pod := server.of("job"))
        await driven.podman.remove(name_of(pod), uid_of(pod))
        await until(lambda: driven.record("job") and not driven.task.running)
    assert driven.record("job")["reason"] == "deleted by another client"
