"""A pod for each file of a folder; for this version and the published 0.4.7.

Usage: pods_pydatatask.py ITEMS AT_ONCE, in the folder that contains ``in``. The variables
``KUBECONFIG`` and ``BENCH_KUBE_*`` describe the cluster.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kubernetes_asyncio import client, config
from pods_noted import CPU, IMAGE, NAMESPACE, measured
from whole_run import run_to_the_end

import pydatatask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TEMPLATE = """\
apiVersion: v1
kind: Pod
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      image: {{ image }}
      imagePullPolicy: IfNotPresent
      command: [echo, "{{ job }}"]
      resources: {requests: {cpu: {{ cpu }}m, memory: 4Mi}}
"""

session = pydatatask.Session()


@session.resource
async def podman() -> AsyncIterator[pydatatask.PodManager]:
    """Connect with an explicit configuration, because 0.4.7 has no default configuration."""
    configuration = client.Configuration()
    await config.load_kube_config(client_configuration=configuration)
    podman = pydatatask.PodManager("bench", NAMESPACE, lambda: configuration)
    yield podman
    await podman.close()


def echoing(at_once: int) -> pydatatask.Pipeline:
    """Create the pipeline."""
    all_of_them = pydatatask.Resources.parse(f"{at_once * CPU}m", "64Gi", 1_000_000)
    quota = pydatatask.ResourceManager(all_of_them)
    task = pydatatask.KubeTask(
        "echo",
        podman,
        quota,
        TEMPLATE,
        pydatatask.FileRepository("out", ".txt"),
        pydatatask.YamlMetadataFileRepository("done"),
        env={"image": IMAGE, "cpu": CPU},
    )
    task.link("input", pydatatask.FileRepository("in", ".txt"), is_input=True)
    return pydatatask.Pipeline([task], session, [quota])


with measured():
    run_to_the_end(echoing(int(sys.argv[2])))
logs = {path.stem: path.read_text() for path in Path("out").glob("*.txt")}
assert len(logs) == int(sys.argv[1])
assert all(log == f"{job}\n" for job, log in logs.items())
