"""The time for which the event loop is blocked while very many pods are listed."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from kubernetes_asyncio.client import Configuration

from pydatatask_kube import PodManager

if TYPE_CHECKING:
    from collections.abc import Iterator

PODS = 5000
CROWD = """
import copy, json, sys
from aiohttp import web

number = int(sys.argv[1])
variables = [{"name": f"V{i}", "value": "x" * 20} for i in range(12)]
container = {"name": "main", "image": "image", "env": variables,
             "resources": {"requests": {"cpu": "100m", "memory": "1Mi"}}}
status = {"phase": "Running", "startTime": "2026-01-01T00:00:00Z", "conditions": [
    {"type": t, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    for t in ("Initialized", "Ready", "ContainersReady", "PodScheduled")]}

def pod(i):
    return {"metadata": {"name": f"pod{i}", "uid": str(i), "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app": "app", "task": "task", "job": f"job{i}"},
            "managedFields": [{"manager": "m", "fieldsV1": {f"f:{j}": {} for j in range(20)}}]},
            "spec": {"containers": [container]}, "status": status}

async def serve(request):
    if "watch" in request.query:
        await __import__("asyncio").sleep(3600)
    start, limit = int(request.query.get("continue") or 0), int(request.query["limit"])
    end = min(number, start + limit)
    about = {"resourceVersion": "1"} | ({"continue": str(end)} if end < number else {})
    items = [pod(i) for i in range(start, end)]
    return web.json_response({"kind": "PodList", "metadata": about, "items": items})

app = web.Application()
app.router.add_get("/api/v1/namespaces/testing/pods", serve)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), print=lambda *a: print("up", flush=True))
"""


@pytest.fixture
def crowd(unused_tcp_port: int) -> Iterator[str]:
    """Serve very many pods from another process, which does not delay the test's event loop."""
    command = [sys.executable, "-c", CROWD, str(PODS), str(unused_tcp_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield f"http://127.0.0.1:{unused_tcp_port}"
        process.kill()


class Listener:
    """A listener for every pod, like a task."""

    seen = 0

    def on_pod(self, pod: object, gone: bool) -> None:
        """Count a pod."""
        self.seen += 1

    def on_listed(self, began: float) -> None:
        """Ignore the end of a listing."""


async def test_listing_many_pods_does_not_block_the_event_loop(crowd: str) -> None:
    podman = PodManager("app", "testing", lambda: Configuration(host=crowd))
    await podman.connect()
    gc.collect()
    gc.freeze()  # garbage collections over the test's own objects take longer than the limit
    listener, longest, turns = Listener(), 0.0, 0
    podman.informer.subscribe("task", listener)
    ready = asyncio.ensure_future(podman.informer.wait_synced())
    # Only the CPU time of this thread counts, so that other load on the machine does not matter.
    while not ready.done():
        before = time.thread_time()
        await asyncio.sleep(0)
        longest, turns = max(longest, time.thread_time() - before), turns + 1
    gc.unfreeze()
    await ready
    assert listener.seen == PODS
    assert len(podman.informer.jobs("task")) == PODS
    await podman.close()
    assert longest < 0.05, f"the longest of {turns} iterations took {longest * 1000:.1f} ms"
