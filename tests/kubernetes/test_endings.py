"""Outcomes of pods on a real cluster, and their records."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import pydatatask
from pydatatask_core.errors import TaskError

from .pods import Work, pod, until

if TYPE_CHECKING:
    from services.kubernetes.fixture import Kubernetes

pytestmark = pytest.mark.timeout(180)


async def test_fifty_jobs_run_under_a_quota(kubernetes: Kubernetes) -> None:
    jobs = {f"Job{i}": pod(f"echo this is {i}", kubernetes.image) for i in range(50)}
    work = Work(kubernetes, jobs, quota=pydatatask.Resources.parse("400m", "1Gi"))
    most = 0
    async with work.running() as run:
        while not run.done():
            live = [p for p in work.podman().informer.pods() if _active(p)]
            most = max(most, len(live))
            await asyncio.wait([run], timeout=0.02)
        summary = await run
        await until(lambda: not work.podman().informer.pods())
    assert summary.launched == {"task": 50}
    assert summary.failed == {}
    assert work.done.data.keys() == jobs.keys()
    assert work.logs.data == {f"Job{i}": f"this is {i}\n".encode() for i in range(50)}
    assert 2 <= most <= 8


def _active(raw: dict[str, Any]) -> bool:
    return raw.get("status", {}).get("phase") not in ("Succeeded", "Failed")


async def test_every_way_to_end_is_recorded(kubernetes: Kubernetes) -> None:
    image = kubernetes.image
    side = {"name": "side", "image": image, "command": ["sh", "-c", "echo side"]}
    native = {"name": "log", "image": image, "command": ["sleep", "999"], "restartPolicy": "Always"}
    begin = {"name": "begin", "image": image, "command": ["sh", "-c", "echo begun"]}
    no_good = {"name": "begin", "image": image, "command": ["sh", "-c", "exit 4"]}
    much = {"requests": {"cpu": "77"}}
    jobs = {
        "ok": pod("echo fine", image),
        "exit3": pod("exit 3", image),
        "signal": pod("sh -c 'kill -SEGV $$$$'; exit $?", image),  # Kubernetes replaces $$ with $
        "oom": pod("tail /dev/zero", image),
        "x" * 63: pod("echo long", image),
        "cAsE": pod("echo upper", image),
        "case": pod("echo lower", image),
        "noImage": pod("true", "localhost/none:1"),
        "noRoom": pod("true", image, resources=much),
        "deleted": pod("sleep 999", image),
        "evicted": pod("sleep 999", image),
        "side": pod("echo main", image, beside=[side], initContainers=[begin]),
        "native": pod("echo main; sleep 1", image, initContainers=[native]),
        "initBad": pod("echo main", image, initContainers=[no_good]),
        "noProgram": pod("true", image) | _command(image, ["/no/such/program"]),
    }
    work = Work(kubernetes, jobs, pending_timeout=15)
    async with work.running() as run:
        await _interfere(work.podman(), kubernetes.namespace)
        await asyncio.wait_for(run, 100)
    found = work.done.data
    assert found.keys() == jobs.keys()
    good = {job for job, record in found.items() if record["success"]}
    assert good == {"ok", "x" * 63, "cAsE", "case", "side", "native"}
    assert found["exit3"]["reason"] == "exit status 3"
    assert found["signal"]["signal"] == "SIGSEGV"
    assert found["oom"]["oom_killed"] is True
    assert found["noImage"]["image_unavailable"] is True
    assert found["noRoom"]["unschedulable"] is True
    assert found["deleted"]["deleted"] is True
    assert found["evicted"]["evicted"] is True
    assert found["initBad"]["reason"] == "exit status 4 of container 'begin'"
    assert "no such file" in found["noProgram"]["reason"]
    assert work.logs.data["case"] == b"lower\n"
    assert work.logs.data["cAsE"] == b"upper\n"
    assert work.logs.data["side"] == (
        b"==> begin <==\nbegun\n==> main <==\nmain\n==> side <==\nside\n"
    )


async def _interfere(podman: Any, namespace: str) -> None:
    """Delete one running pod, and evict another."""
    await until(lambda: _phase(podman, "deleted") == _phase(podman, "evicted") == "Running")
    names = {job: podman.informer.pods("task", job)[0]["metadata"]["name"] for job in _VICTIMS}
    await podman.v1.delete_namespaced_pod(names["deleted"], namespace)
    about = {"name": names["evicted"], "namespace": namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": about}
    await podman.v1.create_namespaced_pod_eviction(names["evicted"], namespace, eviction)


_VICTIMS = ("deleted", "evicted")


def _command(image: str, command: list[str]) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "main", "image": image, "command": command}]}}


def _phase(podman: Any, job: str) -> str | None:
    pods = podman.informer.pods("task", job)
    return pods[0]["status"]["phase"] if pods else None


async def test_a_job_launched_twice_and_deleted_from_live(kubernetes: Kubernetes) -> None:
    work = Work(kubernetes, {"job": pod("sleep 999", kubernetes.image)})
    async with work.running():
        await until(lambda: _phase(work.podman(), "job") == "Running")
        (before,) = work.podman().informer.pods("task", "job")
        with pytest.raises(TaskError, match="is running already"):
            await work.task.launch("job")
        work.manifests.data.clear()
        await work.task.live.delete("job")
        await until(lambda: not work.podman().informer.pods())
        assert not work.done.data
        work.manifests.data["job"] = pod("echo again", kubernetes.image)
        await until(lambda: work.done.data)
    assert work.done.data["job"]["uid"] != before["metadata"]["uid"]
    assert work.logs.data["job"] == b"again\n"


class Rescuing(pydatatask.KubeTask):
    """A task that reads a file from a pod that has timed out."""

    rescued = b""

    async def handle_timeout(self, pod: Any) -> None:
        v1: Any = self.podman.v1_ws
        streams = {"stdout": True, "stderr": False, "stdin": False, "tty": False}
        async with await v1.connect_get_namespaced_pod_exec(
            pod.metadata.name,
            pod.metadata.namespace,
            command=["cat", "/tmp/half"],
            _preload_content=False,
            **streams,
        ) as stream:
            async for message in stream:
                if message.data[:1] == b"\1":  # standard output
                    self.rescued += message.data[1:]


async def test_a_file_of_a_pod_can_be_read_when_it_has_timed_out(kubernetes: Kubernetes) -> None:
    script = "echo half done > /tmp/half; echo working; sleep 999"
    work = Work(kubernetes, {"job": pod(script, kubernetes.image)}, kind=Rescuing, timeout=3)
    summary = await work.run()
    assert summary.failed == {"task": ["job"]}
    assert work.task.rescued == b"half done\n"
    assert work.done.data["job"]["timed_out"] is True
    assert work.logs.data["job"] == b"working\n"


async def test_the_log_of_a_job_killed_by_another_process_is_kept(
    kubernetes: Kubernetes,
) -> None:
    work = Work(kubernetes, {"job": pod("echo working; sleep 999", kubernetes.image)})
    async with work.running() as run:
        await until(lambda: _phase(work.podman(), "job") == "Running")
        other = Work(kubernetes, {})
        other.app = work.app
        await other.pipeline.open(mode="one")
        assert await other.task.kill("job")
        await other.pipeline.close()
        await asyncio.wait_for(run, 60)
    assert work.done.data["job"]["killed"] is True
    assert work.logs.data["job"] == b"working\n"
