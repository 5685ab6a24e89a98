"""A driver that is killed, an API server that is killed, and a node that is lost."""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pydatatask

from .pods import Created, Work, pod, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.kubernetes.cluster import Cluster
    from services.kubernetes.fixture import Kubernetes

pytestmark = pytest.mark.timeout(300)

DRIVER = Path(__file__).with_name("driver.py")
NEIGHBOUR = "neighbour"


async def test_killing_the_driver_at_random_times_loses_and_repeats_nothing(
    own_cluster: Cluster, kubernetes: Kubernetes, tmp_path: Path
) -> None:
    for name in ("in", "logs", "done"):
        (tmp_path / name).mkdir()
    jobs = [f"job{i}" for i in range(200)]
    for job in jobs:
        (tmp_path / "in" / job).touch()
    app = f"test-{secrets.token_hex(4)}"
    command = [sys.executable, str(DRIVER), str(tmp_path), app]
    command += [str(kubernetes.kubeconfig), kubernetes.image]
    async with Created(kubernetes, app) as created:
        kills = await _kill_until_done(command, random.Random(5))
        await until(lambda: not created.podman.informer.pods())
    assert kills >= 2
    done = pydatatask.YamlMetadataFileRepository(tmp_path / "done")
    records = await done.info_all()
    assert records.keys() == set(jobs)
    assert [job for job, record in records.items() if not record["success"]] == []
    assert {job for job, uids in created.uids.items() if len(uids) != 1} == set()
    for job in jobs:
        expected = "".join(f"{job} {i}\n" for i in range(1, 6))
        assert (tmp_path / "logs" / job).read_text() == expected


async def _kill_until_done(command: list[str], chance: random.Random) -> int:
    """Run a driver, killing and restarting it, until all is done; return the number of kills."""
    kills = 0
    while True:
        driver = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)
        try:
            async with asyncio.timeout(chance.uniform(3, 15) if kills < 8 else 200):
                assert await driver.wait() == 0
                return kills
        except TimeoutError:
            driver.kill()
            await driver.wait()
            kills += 1


async def test_a_restart_of_the_api_server_has_no_visible_effect(
    own_cluster: Cluster, kubernetes: Kubernetes
) -> None:
    jobs = {f"job{i}": pod(f"sleep 1; echo {i}", kubernetes.image) for i in range(24)}
    work = Work(kubernetes, jobs, quota=pydatatask.Resources.parse("400m", "1Gi"))
    async with work.running() as run:
        await until(lambda: len(work.done.data) >= 4)
        await asyncio.to_thread(own_cluster.end, "apiserver", force=True)
        await asyncio.sleep(1)
        assert not run.done()
        await asyncio.to_thread(own_cluster.restart, "apiserver")
        await asyncio.wait_for(run, 120)
        await until(lambda: not work.podman().informer.pods())
    assert work.done.data.keys() == jobs.keys()
    assert [job for job, record in work.done.data.items() if not record["success"]] == []
    assert work.logs.data == {f"job{i}": f"{i}\n".encode() for i in range(24)}


async def test_a_pod_whose_node_is_lost_is_recorded_and_not_started_elsewhere(
    own_cluster: Cluster, kubernetes: Kubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pydatatask_kube.outcome.classifier.LOST_TIMEOUT_SECONDS", 3.0)
    tolerations = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
        for key in ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
    ]
    manifest = pod("sleep 999", kubernetes.image, tolerations=tolerations)
    work = Work(kubernetes, {"job": manifest}, retries=3)
    async with Created(kubernetes, work.app) as created, another_node(created.podman.v1):
        pods = created.podman.informer.pods
        try:
            async with work.running() as run:
                await until(lambda: pods() and pods()[0]["status"]["phase"] == "Running")
                await asyncio.to_thread(own_cluster.end, "kubelet", force=True)
                await asyncio.wait_for(run, 100)
                record = work.done.data["job"]
                assert record["lost"] is True
                assert "node 'localhost' has not stopped it" in record["reason"]
                assert await work.task.live.keys() == {"job"}, (
                    "the pod must exist until its node does"
                )
                await work.pipeline.update()
        finally:
            await asyncio.to_thread(own_cluster.restart, "kubelet")
        await until(lambda: not pods())
    assert len(created.uids["job"]) == 1


@asynccontextmanager
async def another_node(v1: Any) -> AsyncIterator[None]:
    """Provide a second, healthy node: without one, the cluster does not evict pods.

    :param v1: the client's object for the cluster.
    """
    await v1.create_node({"metadata": {"name": NEIGHBOUR}})
    beating = asyncio.create_task(_beat(v1))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.wait([beating])
        await v1.delete_node(NEIGHBOUR)


async def _beat(v1: Any) -> None:
    """Send the heartbeats of a kubelet that has no room for pods."""
    began = datetime.now(UTC).isoformat()
    while True:
        times = {"lastHeartbeatTime": datetime.now(UTC).isoformat(), "lastTransitionTime": began}
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "",
            **times,
        }
        change = {"status": {"conditions": [ready], "allocatable": {"pods": "0"}}}
        await v1.patch_node_status(NEIGHBOUR, change, _content_type="application/merge-patch+json")
        await asyncio.sleep(1)
