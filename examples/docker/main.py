"""Images as jobs: local processes build and push them, and a new tag starts the next task.

For each folder in ``sites`` without a tag in the registry, ``build`` runs a process that creates an
image and pushes it under the folder's name. ``announce`` records the digest of each tag, including
tags that other clients have pushed. A second run builds only new folders, and folders whose tags
were deleted.

The example needs a registry with a password: set ``REGISTRY`` (such as ``localhost:5000``) and
``REGISTRY_LOGIN`` (``USER:PASSWORD``).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker_registry_client_async import DockerRegistryClientAsync

import pydatatask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HERE = Path(__file__).parent


def make_pipeline(arguments: argparse.Namespace) -> pydatatask.Pipeline:
    """Create the pipeline; it does nothing until it is opened.

    :param arguments: the parsed command line.
    """
    session = pydatatask.Session()

    @session.resource
    async def registry() -> AsyncIterator[DockerRegistryClientAsync]:
        async with DockerRegistryClientAsync() as client:
            login = base64.b64encode(os.environ["REGISTRY_LOGIN"].encode()).decode()
            await client.add_credentials(endpoint=arguments.registry, credentials=login)
            yield client

    protocol: Any = "http" if arguments.http else "https"
    images = pydatatask.DockerRepository(
        registry, arguments.registry, arguments.repository, protocol=protocol
    )
    sites = pydatatask.DirectoryRepository(arguments.sites)
    announcements = pydatatask.FileRepository(arguments.output / "announcements", ".txt")

    manager = pydatatask.LocalLinuxManager("example", str(arguments.output / "processes"))
    # With Docker, use `docker build -t NAME FOLDER && docker push NAME` instead.
    push = f"{sys.executable} {HERE / 'push.py'}{' --http' if arguments.http else ''}"
    build = pydatatask.ProcessTask(
        "build",
        lambda: manager,
        pydatatask.ResourceManager(pydatatask.Resources.parse("2", "1Gi", 100)),
        pydatatask.Resources.parse("1", "256Mi"),
        pydatatask.YamlMetadataFileRepository(arguments.output / "pids"),
        push + " {{ sites | quote }} {{ images.withdomain | quote }}\n",
    )
    build.link("sites", sites, is_input=True)
    build.link("images", images, is_output=True, inhibits_start=True)

    @pydatatask.InProcessSyncTask(
        "announce", pydatatask.YamlMetadataFileRepository(arguments.output / "announced")
    )
    async def announce(
        job: str, images: pydatatask.DockerRepository, announcements: pydatatask.FileRepository
    ) -> None:
        name = (await images.info(job))["withdomain"].removesuffix(f":{job}")
        async with await announcements.open(job, "w") as stream:
            await stream.write(f"{name}@{await images.digest(job)}\n")

    announce.link("images", images, is_input=True)
    announce.link("announcements", announcements, is_output=True)

    return pydatatask.Pipeline([build, announce], session)


async def run(pipeline: pydatatask.Pipeline) -> int:
    """Run the pipeline to its end and print the number of launches.

    :param pipeline: the pipeline.
    """
    async with pipeline:
        summary = await pipeline.run()
    done = ", ".join(f"{task} {number}" for task, number in summary.launched.items())
    print(f"ran: {done or 'nothing new'}")
    return 1 if summary.failed else 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="Push images, and announce all that are present.")
    parser.add_argument("sites", nargs="?", type=Path, default=HERE / "sites", help="(%(default)s)")
    parser.add_argument(
        "--registry",
        metavar="HOST:PORT",
        default=os.environ.get("REGISTRY", "localhost:5000"),
        help="the registry (the variable REGISTRY, or one on this machine)",
    )
    parser.add_argument("--repository", default="pydatatask/example", help="(%(default)s)")
    parser.add_argument("--http", action="store_true", help="speak to it without encryption")
    parser.add_argument("--output", type=Path, default=Path("docker-output"), help="(%(default)s)")
    arguments = parser.parse_args()
    if "REGISTRY_LOGIN" not in os.environ:
        parser.error("the variable REGISTRY_LOGIN is not set; it is USER:PASSWORD")
    try:
        return asyncio.run(run(make_pipeline(arguments)))
    except pydatatask.PydatataskError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
