"""The results of a job: its logs, its record, no pod, and room in the quota."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import StoreError, TaskError
from pydatatask_core.repository import InProcessBlobRepository, InProcessMetadataRepository
from pydatatask_core.resource_manager import Resources
from pydatatask_core.task import Retries
from pydatatask_kube import KubeTask

from .driven_task import TEMPLATE, Driven, until

if TYPE_CHECKING:
    from .api_server import ApiServer

SEVERAL = TEMPLATE.replace(
    "  containers:\n",
    "  initContainers: [{name: init, image: i}]\n  containers:\n    - {name: side, image: s}\n",
)


async def test_a_failure_is_recorded_and_does_not_start_the_tasks_that_follow(
    server: ApiServer,
) -> None:
    driven = Driven(server, "bad", "good")
    template = TEMPLATE.replace(", {{ inp }}", "")
    after = KubeTask("after", lambda: driven.podman, driven.quota, template, None, None)
    after.plug(driven.task)
    server.on_create = lambda pod: server.finish(
        pod, code=3 if pod["metadata"]["labels"]["job"] == "bad" else 0
    )
    driven.pipeline.tasks["after"] = after
    after.disabled = True
    summary = await driven.run()
    assert summary.failed == {"task": ["bad"]}
    assert driven.record("bad")["reason"] == "exit status 3"
    assert driven.logs.data["bad"] == b"bad\n"
    assert not server.pods
    async with driven.open() as pipeline:
        assert await pipeline.gather_ready_jobs(after) == {"good"}


async def test_the_logs_of_all_containers_are_written_with_headings(server: ApiServer) -> None:
    driven = Driven(server, "job", template=SEVERAL)
    async with driven.open():
        await driven.task.launch("job")
        pod = server.of("job")
        server.logs[pod["metadata"]["name"], "init"] = b"first\n"
        ended = {"terminated": {"exitCode": 0, "startedAt": "2026-01-01T00:00:00Z"}}
        server.set_status(pod, initContainerStatuses=[{"name": "init", "state": ended}])
        server.finish(pod, log=b"text\n")
        await until(lambda: not server.pods)
    expected = b"==> init <==\nfirst\n==> side <==\ntext\n==> main <==\ntext\n"
    assert driven.logs.data["job"] == expected
    assert [c["name"] for c in driven.record("job")["containers"]] == ["init", "side", "main"]
    assert server.counts["log"] == 3


async def test_a_large_log_is_complete(server: ApiServer) -> None:
    driven = Driven(server, "job")
    text = b"0123456789abcde\n" * (1 << 18)
    server.on_create = lambda pod: server.finish(pod, log=text)
    await driven.run()
    assert driven.logs.data["job"] == text


@pytest.mark.parametrize("trouble", ["gone", "refused", "failing"])
async def test_an_unavailable_log_never_prevents_the_recording_of_the_outcome(
    server: ApiServer, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pydatatask_kube.cluster.client.MAX_ATTEMPTS", 1)
    driven = Driven(server, "job")
    async with driven.open():
        await driven.task.launch("job")
        pod = server.of("job")
        if trouble == "failing":
            server.refuse = lambda what: 500 if what == "log" else None
        if trouble == "gone":
            server.run(pod)
            pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            server.remove(pod)
        else:
            server.finish(pod, code=4)
        if trouble == "refused":
            server.logs.clear()
        await until(lambda: driven.record("job") and not server.pods)
    record = driven.record("job")
    assert record["success"] is False
    assert record["logs_problem"]
    assert record["reason"] == (
        "deleted by another client" if trouble == "gone" else "exit status 4"
    )
    assert driven.logs.data["job"] == b""


class Failing:
    """A store that fails a few times."""

    left = 2

    def fail(self) -> None:
        if self.left:
            self.left -= 1
            raise StoreError("write", self, "out of order")


class FailingRecords(Failing, InProcessMetadataRepository):
    async def dump(self, job: str, data: Any) -> None:
        self.fail()
        await super().dump(job, data)


class FailingBlobs(Failing, InProcessBlobRepository):
    async def open(self, job: str, mode: Any = "r") -> Any:
        self.fail()
        return await super().open(job, mode)


@pytest.mark.parametrize("which", ["logs", "done"])
async def test_a_pod_is_kept_until_a_failing_store_has_accepted_all_writes(
    server: ApiServer, which: str
) -> None:
    store: Any = FailingBlobs() if which == "logs" else FailingRecords()
    driven = Driven(server, "job", **{which: store})
    server.on_create = server.finish
    async with driven.running() as run:
        await until(lambda: store.left == 1)
        assert server.pods
        assert not run.done()
        await asyncio.wait_for(run, 20)
    assert "job" in store.data
    assert not server.pods


async def test_a_failed_job_is_retried_under_the_same_name(server: ApiServer) -> None:
    driven = Driven(server, "job", retries=Retries(2, delay=0.01))
    names = []

    def fail_twice(pod: dict[str, Any]) -> None:
        names.append(pod["metadata"]["name"])
        server.finish(pod, code=1 if len(names) < 3 else 0)

    server.on_create = fail_twice
    summary = await driven.run()
    assert summary.failed == {}
    assert len(set(names)) == 1
    assert driven.record("job")["attempt"] == 3
    assert driven.record("job")["success"] is True
    assert server.counts["log"] == 1


async def test_a_job_that_waits_for_a_retry_can_be_killed(server: ApiServer) -> None:
    driven = Driven(server, "job", retries=Retries(2, delay=60))
    server.on_create = lambda pod: server.finish(pod, code=1)
    async with driven.open():
        await driven.task.launch("job")
        await until(lambda: driven.task.waiting == {"job"})
        assert await driven.task.kill("job")
        assert driven.record("job")["killed"] is True
        assert not driven.task.running


async def test_a_job_is_killed_and_recorded(server: ApiServer) -> None:
    driven = Driven(server, "job")
    async with driven.open():
        await driven.task.launch("job")
        pod = server.of("job")
        pod["spec"]["obedient"] = True
        server.run(pod)
        assert await driven.task.kill("job")
        assert driven.record("job")["reason"] == "killed on request"
        assert not server.pods
        assert not await driven.task.kill("job")


class Handling(KubeTask):
    handled: tuple[str, ...] = ()

    async def handle_timeout(self, pod: Any) -> None:
        self.handled += (pod.metadata.labels["job"], pod.status.phase)
        raise RuntimeError("the exec failed")


async def test_a_pod_that_runs_too_long_is_handled_recorded_and_stopped(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    driven = Driven(server, "job", kind=Handling, timeout=0.5)
    async with driven.open():
        await driven.task.launch("job")
        pod = server.of("job")
        pod["spec"]["obedient"] = True
        server.logs[pod["metadata"]["name"], "main"] = b"until now"
        server.run(pod)
        await until(lambda: not server.pods and not driven.task.running)
    assert driven.task.handled == ("job", "Running")  # type: ignore[attr-defined]
    assert driven.record("job")["timed_out"] is True
    assert driven.logs.data["job"] == b"until now"
    assert "handle_timeout failed" in caplog.text


async def test_a_pod_that_cannot_be_scheduled_fails_after_the_timeout(server: ApiServer) -> None:
    driven = Driven(server, "job", pending_timeout=0.3)
    summary = await driven.run()
    assert summary.failed == {"task": ["job"]}
    assert driven.record("job")["not_started"] is True
    assert not server.pods


async def test_a_job_deleted_from_live_has_no_record_and_can_be_launched_again(
    server: ApiServer,
) -> None:
    driven = Driven(server, "job", quota=Resources.parse("100m", "1Ti"))
    async with driven.open() as pipeline:
        await driven.task.launch("job")
        await driven.task.live.delete("job")
        assert not server.pods
        assert not driven.task.running
        assert driven.record("job") is None
        await until(lambda: not driven.podman.informer.jobs("task"))
        await pipeline.update()
        assert server.created == {"job": 2}


async def test_a_job_deleted_from_live_by_another_process_has_no_record(
    server: ApiServer,
) -> None:
    driven, other = Driven(server, "job"), Driven(server, "job")
    async with driven.open():
        await driven.task.launch("job")
        server.of("job")["spec"]["obedient"] = True
        server.run(server.of("job"))
        async with other.open(mode="one"):
            assert await other.task.live.keys() == {"job"}
            await other.task.live.delete("job")
            assert not await other.task.live.contains("job")
        await until(lambda: not driven.task.running)
    assert driven.record("job") is None


async def test_the_driver_records_a_job_killed_by_another_process(server: ApiServer) -> None:
    driven, other = Driven(server, "job"), Driven(server, "job")
    async with driven.open():
        await driven.task.launch("job")
        pod = server.of("job")
        server.run(pod)
        async with other.open(mode="one"):
            killing = asyncio.create_task(other.task.kill("job"))
            await until(lambda: pod["spec"].get("activeDeadlineSeconds") == 1)
            server.finish(pod, code=137)
            assert await killing
            assert not await other.task.kill("job")
        await until(lambda: driven.record("job"))
    assert driven.record("job")["killed"] is True


async def test_delete_rejects_pods_of_other_tasks(server: ApiServer) -> None:
    driven = Driven(server, "job")
    server.add("other", "job")
    async with driven.open():
        await driven.task.launch("job")
        await until(lambda: driven.podman.informer.jobs("task"))
        (pod,) = await driven.podman.query("job", "task")
        (other,) = await driven.podman.query(task="other")
        with pytest.raises(TaskError, match="does not belong to this task"):
            await driven.task.delete(other)
        await driven.task.delete(pod)
        await driven.task.delete(pod)
        assert [p["metadata"]["labels"]["task"] for p in server.pods.values()] == ["other"]


async def test_a_pod_whose_node_is_lost_is_recorded_and_not_started_elsewhere(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pydatatask_kube.outcome.classifier.LOST_TIMEOUT_SECONDS", 0.2)
    driven = Driven(server, "job", retries=3)
    async with driven.open() as pipeline:
        await driven.task.launch("job")
        pod = server.of("job")
        server.run(pod)
        pod["metadata"].update(
            deletionTimestamp=pod["metadata"]["creationTimestamp"], deletionGracePeriodSeconds=0
        )
        server.set_status(pod, phase="Running")
        await until(lambda: driven.record("job") and not driven.task.running)
        assert driven.record("job")["lost"] is True
        await pipeline.update()
        assert server.created == {"job": 1}


async def test_in_synchronous_mode_a_launch_returns_after_everything_is_recorded(
    server: ApiServer,
) -> None:
    driven = Driven(server, "job")
    server.on_create = server.finish
    async with driven.open(mode="one") as pipeline:
        pipeline.settings(synchronous=True)
        await driven.task.launch("job")
        assert driven.record("job")["success"] is True
        assert not server.pods
    assert server.counts["watch"] == 0


async def test_without_metadata_nothing_is_recorded(server: ApiServer) -> None:
    driven = Driven(server, "job")
    server.on_create = server.finish
    async with driven.open(mode="one") as pipeline:
        pipeline.settings(synchronous=True, metadata=False)
        await driven.task.launch("job")
    assert driven.record("job") is None
    assert not server.pods


async def test_a_task_works_without_logs_and_done(server: ApiServer) -> None:
    driven = Driven(server, "job", logs=None, done=None)
    server.on_create = server.finish
    summary = await driven.run()
    assert summary.given_up == {"task": ["job"]}
    assert server.created == {"job": 1}
    assert server.counts["log"] == 0
    assert not server.pods
