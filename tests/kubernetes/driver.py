"""A driver of pods that tests kill: ``python driver.py FOLDER APP KUBECONFIG IMAGE``.

Its jobs are the files in ``FOLDER/in``; their results are in ``FOLDER/logs`` and ``FOLDER/done``.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydatatask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TEMPLATE = """\
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      image: {{ image }}
      imagePullPolicy: IfNotPresent
      command: [sh, -c, "for i in 1 2 3 4 5; do echo {{ job }} $i; done"]
      resources: {requests: {cpu: 10m, memory: 1Mi}}
"""


def pipeline(folder: Path, app: str, kubeconfig: str, image: str) -> pydatatask.Pipeline:
    """Return the pipeline."""
    session = pydatatask.Session()

    async def configuration() -> Any:
        from kubernetes_asyncio import client, config

        found = client.Configuration()
        await config.load_kube_config(config_file=kubeconfig, client_configuration=found)
        return found

    @session.resource
    async def podman() -> AsyncIterator[pydatatask.PodManager]:
        podman = pydatatask.PodManager(app, "default", configuration)
        yield podman
        await podman.close()

    task = pydatatask.KubeTask(
        "task",
        podman,
        pydatatask.ResourceManager(pydatatask.Resources.parse("250m", "1Gi")),
        TEMPLATE,
        pydatatask.FileRepository(folder / "logs"),
        pydatatask.YamlMetadataFileRepository(folder / "done"),
        env={"image": image},
    )
    task.link("inp", pydatatask.FileRepository(folder / "in"), is_input=True)
    return pydatatask.Pipeline([task], session)


async def main() -> None:
    """Run the pipeline until it is idle."""
    folder, app, kubeconfig, image = sys.argv[1:]
    async with pipeline(Path(folder), app, kubeconfig, image) as made:
        await made.run(poll=0.5)


if __name__ == "__main__":
    asyncio.run(main())
