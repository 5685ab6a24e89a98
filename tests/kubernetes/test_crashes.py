"""The driver is killed, the API server is killed, the node is lost."""

from __future__ import annotations

import asyncio
import random
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pydatatask

from .pods import Created, Work, pod, until

if TYPE_CHECKING:
    from services.kubernetes.cluster import Cluster
    from services.kubernetes.fixture import Kubernetes

pytestmark = pytest.mark.timeout(300)

DRIVER = Path(__file__).with_name("driver.py")


async def test_a_driver_killed_at_random_moments_loses_and_doubles_nothing(
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
        await until(lambda: not created.podman.watch.pods())
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
    """Run a driver, killed and started again, until it has done all; give how often it was."""
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


async def test_an_api_server_killed_and_started_again_is_no_matter(
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
        await until(lambda: not work.podman().watch.pods())
    assert work.done.data.keys() == jobs.keys()
    assert [job for job, record in work.done.data.items() if not record["success"]] == []
    assert work.logs.data == {f"job{i}": f"{i}\n".encode() for i in range(24)}


async def test_a_pod_whose_node_is_lost_is_recorded_and_not_started_elsewhere(
    own_cluster: Cluster, kubernetes: Kubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pydatatask_kube.ending.LOST_AFTER", 3.0)
    work = Work(kubernetes, {"job": pod("sleep 999", kubernetes.image)}, retries=3)
    try:
        async with work.running() as run:
            pods = work.podman().watch.pods
            await until(lambda: pods() and pods()[0]["status"]["phase"] == "Running")
            await asyncio.to_thread(own_cluster.end, "kubelet", force=True)
            # Where no node is left, the cluster evicts nothing by itself; so the test says it.
            await _taint(work, [{"key": "tests/lost", "effect": "NoExecute"}])
            await asyncio.wait_for(run, 100)
            record = work.done.data["job"]
            assert record["lost"] is True
            assert "node 'localhost' does not end it" in record["reason"]
            assert await work.task.live.keys() == {"job"}, "its pod is there until its node is"
            await work.pipeline.update()
            assert len(pods()) == 1
            await _taint(work, None)
    finally:
        await asyncio.to_thread(own_cluster.restart, "kubelet")


async def _taint(work: Work, taints: list[dict[str, str]] | None) -> None:
    """Have the node drive off its pods, or no longer."""
    v1: Any = work.podman().v1
    change = {"spec": {"taints": taints}}
    await v1.patch_node("localhost", change, _content_type="application/merge-patch+json")
