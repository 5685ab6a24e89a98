"""A pipeline with one function that runs in pods, with its data in the folder ``DATA``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydatatask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DATA = Path(os.environ.get("DATA", "/data"))

TEMPLATE = """\
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: leader
      image: {{ image }}
      imagePullPolicy: IfNotPresent
      command: [python3, "{{ argv0 }}", launch, "{{ task }}", "{{ job }}", --force, --sync]
      env:
        - {name: PYTHONPATH, value: /app/packages}
      resources: {requests: {cpu: 100m, memory: 64Mi}}
      volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, hostPath: {path: "{{ folder }}"}}]
"""

session = pydatatask.Session()


@session.resource
async def podman() -> AsyncIterator[pydatatask.PodManager]:
    """Yield the pod manager, which does not connect in a pod."""

    async def configuration() -> Any:
        from kubernetes_asyncio import client, config

        found = client.Configuration()
        await config.load_kube_config(client_configuration=found)
        return found

    podman = pydatatask.PodManager(os.environ.get("APP", "in-a-pod"), "default", configuration)
    yield podman
    await podman.close()


halve = pydatatask.KubeFunctionTask(
    "halve",
    podman,
    pydatatask.ResourceManager(pydatatask.Resources.parse(1, "1Gi")),
    TEMPLATE,
    pydatatask.FileRepository(DATA / "logs"),
    pydatatask.YamlMetadataFileRepository(DATA / "kube_done"),
    pydatatask.YamlMetadataFileRepository(DATA / "func_done"),
    env={"folder": str(DATA), "image": os.environ.get("IMAGE", "")},
)


@halve
async def _halve(job: str, numbers: Any, halves: Any) -> None:
    number = await numbers.info(job)
    print(f"halving {number} in process {os.getpid()}", flush=True)  # noqa: T201
    await halves.dump(job, number / 2)


halve.link("numbers", pydatatask.YamlMetadataFileRepository(DATA / "numbers"), is_input=True)
halve.link("halves", pydatatask.YamlMetadataFileRepository(DATA / "halves"), is_output=True)

pipeline = pydatatask.Pipeline([halve], session)

if __name__ == "__main__":
    pydatatask.main(pipeline)
