"""A pod for each file of a folder, with the client library alone.

Usage: pods_alone.py ITEMS AT_ONCE, in the folder that contains ``in``, ``out`` and ``done``. The
variables ``KUBECONFIG`` and ``BENCH_KUBE_*`` describe the cluster.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from kubernetes_asyncio import client, config, watch
from pods_noted import CPU, IMAGE, NAMESPACE, measured

LABEL = "app=alone"


def pod(job: str) -> Any:
    """Return the manifest of a job's pod."""
    container = {
        "name": "main",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["echo", job],
        "resources": {"requests": {"cpu": f"{CPU}m", "memory": "4Mi"}},
    }
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }
    return {"metadata": {"name": job, "labels": {"app": "alone"}}, "spec": spec}


def keep(found: Any, log: str) -> None:
    """Write the log and the record of a pod."""
    name = found.metadata.name
    Path("out", f"{name}.txt").write_text(log)
    (state,) = found.status.container_statuses
    record = {"code": state.state.terminated.exit_code, "node": found.spec.node_name}
    Path("done", f"{name}.yaml").write_text(json.dumps(record))


async def finish(v1: Any, found: Any, slots: asyncio.Semaphore) -> None:
    """Write the log and the record of a finished pod, and delete the pod."""
    slots.release()
    name = found.metadata.name
    keep(found, await v1.read_namespaced_pod_log(name, NAMESPACE))
    await v1.delete_namespaced_pod(name, NAMESPACE)


async def look(v1: Any, number: int, version: str, slots: asyncio.Semaphore) -> None:
    """Watch until all pods have finished, and clean up each of them."""
    ended: dict[str, asyncio.Task[None]] = {}
    async with watch.Watch() as events:
        about = {"label_selector": LABEL, "resource_version": version}
        async for event in events.stream(v1.list_namespaced_pod, NAMESPACE, **about):
            found = event["object"]
            name = found.metadata.name
            if found.status.phase in ("Succeeded", "Failed") and name not in ended:
                ended[name] = asyncio.create_task(finish(v1, found, slots))
                if len(ended) == number:
                    break
    await asyncio.gather(*ended.values())


async def main(jobs: list[str], at_once: int) -> None:
    """Create a pod for each job, with a limited number of pods at a time."""
    slots = asyncio.Semaphore(at_once)
    await config.load_kube_config()
    async with client.ApiClient() as api:
        v1 = client.CoreV1Api(api)
        listed = await v1.list_namespaced_pod(NAMESPACE, label_selector=LABEL, limit=1)
        version = listed.metadata.resource_version
        looking = asyncio.create_task(look(v1, len(jobs), version, slots))
        for job in jobs:
            await slots.acquire()
            await v1.create_namespaced_pod(NAMESPACE, pod(job))
        await looking


with measured():
    found = sorted(path.stem for path in Path("in").iterdir())
    asyncio.run(main(found, int(sys.argv[2])))
assert len(list(Path("done").iterdir())) == int(sys.argv[1])
