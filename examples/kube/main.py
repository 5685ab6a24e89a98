"""Pods of a Kubernetes cluster, and a function over their logs: find primes and twin primes.

Two tasks: ``primes`` runs a pod for each range of numbers in a folder, as many at a time as the
quota allows; the output of a pod is its log. ``twins`` is plugged into it and reads the logs of the
pods that succeeded. If you interrupt the program and run it again, it finds the existing pods and
creates none twice.

The cluster is the one that ``kubectl`` uses, or the context in ``KUBE_CONTEXT``; ``KUBE_NAMESPACE``
and ``KUBE_IMAGE`` set the namespace and the image of the pods.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pydatatask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kubernetes_asyncio.client import Configuration

HERE = Path(__file__).parent
TEMPLATE = """\
apiVersion: v1
kind: Pod
spec:
  containers:
    - name: main
      image: {{ image | tojson }}
      command: [sh, -euo, pipefail, -c]
      args:
        - |
          seq "$1" "$2" | factor | awk 'NF == 2 { print $2 }'
        - primes
        - {{ ranges.first | string | tojson }}
        - {{ ranges.last | string | tojson }}
      resources: {requests: {cpu: 100m, memory: 16Mi}}
"""


def make_pipeline(arguments: argparse.Namespace) -> pydatatask.Pipeline:
    """Create the pipeline; it does nothing until it is opened.

    :param arguments: the parsed command line.
    """
    session = pydatatask.Session()

    async def configuration() -> Configuration:
        from kubernetes_asyncio import client, config

        found = client.Configuration()
        await config.load_kube_config(context=arguments.context, client_configuration=found)
        return found

    @session.resource
    async def podman() -> AsyncIterator[pydatatask.PodManager]:
        podman = pydatatask.PodManager(
            arguments.app, arguments.namespace, configuration if arguments.context else None
        )
        yield podman
        await podman.close()

    primes = pydatatask.KubeTask(
        "primes",
        podman,
        pydatatask.ResourceManager(pydatatask.Resources.parse(cpu="200m", mem="1Gi")),
        TEMPLATE,
        logs=pydatatask.FileRepository(arguments.output / "primes", ".txt"),
        done=pydatatask.YamlMetadataFileRepository(arguments.output / "done"),
        env={"image": arguments.image},
        pending_timeout=600,
    )
    ranges = pydatatask.YamlMetadataFileRepository(arguments.ranges)
    primes.link("ranges", ranges, is_input=True)

    @pydatatask.InProcessSyncTask(
        "twins", pydatatask.YamlMetadataFileRepository(arguments.output / "twins-done")
    )
    async def twins(
        job: str,
        primes_logs: pydatatask.FileRepository,
        twins: pydatatask.YamlMetadataFileRepository,
    ) -> None:
        async with await primes_logs.open(job, "r") as log:
            found = {int(line) for line in (await log.read()).split()}
        pairs = [[prime, prime + 2] for prime in sorted(found) if prime + 2 in found]
        await twins.dump(job, {"primes": len(found), "twins": pairs})

    twins.plug(primes)  # the pods' logs become primes_logs; pods that failed are left out
    results = pydatatask.YamlMetadataFileRepository(arguments.output / "twins")
    twins.link("twins", results, is_output=True)

    return pydatatask.Pipeline([primes, twins], session)


async def run(pipeline: pydatatask.Pipeline, output: Path) -> int:
    """Run the pipeline to its end and print its results.

    :param pipeline: the pipeline.
    :param output: the folder of the results.
    """
    async with pipeline:
        summary = await pipeline.run()
        results = await pipeline.tasks["twins"].links["twins"].repo.info_all()
    done = ", ".join(f"{task} {number}" for task, number in summary.launched.items())
    print(f"ran: {done or 'nothing new'}")
    for name, found in sorted(results.items()):
        print(f"{name}: {found['primes']} primes, {len(found['twins'])} pairs of twins")
    print(f"primes  {output / 'primes'}\ntwins   {output / 'twins'}")
    for task, jobs in summary.failed.items():
        place = output / ("done" if task == "primes" else "twins-done")
        print(f"{len(jobs)} of {task} failed, see {place}: {', '.join(sorted(jobs)[:5])}")
    return 1 if summary.failed else 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="Find primes in pods, and twin primes here.")
    parser.add_argument(
        "ranges",
        nargs="?",
        type=Path,
        default=HERE / "ranges",
        help="a folder of NAME.yaml, each with first and last (%(default)s)",
    )
    parser.add_argument(
        "--context",
        default=os.environ.get("KUBE_CONTEXT"),
        help="the context (the variable KUBE_CONTEXT, or the one that kubectl uses)",
    )
    parser.add_argument(
        "--namespace",
        default=os.environ.get("KUBE_NAMESPACE", "default"),
        help="the namespace (the variable KUBE_NAMESPACE, or default)",
    )
    parser.add_argument(
        "--image",
        default=os.environ.get("KUBE_IMAGE", "busybox:1"),
        help="an image with BusyBox (the variable KUBE_IMAGE, or busybox:1)",
    )
    parser.add_argument("--app", default="example", help="the label of its pods (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("kube-output"), help="(%(default)s)")
    arguments = parser.parse_args()
    try:
        return asyncio.run(run(make_pipeline(arguments), arguments.output))
    except pydatatask.PydatataskError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
