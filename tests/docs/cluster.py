"""A fake cluster: the fake API server, and a kubelet without containers.

It runs the commands of containers on this machine, in one folder.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["cluster"]

PODS = Path(__file__).parents[2] / "packages" / "pydatatask-kube" / "tests" / "pods"


def _module() -> Any:
    """Import the fake API server, which is in a package of tests, under a name of its own."""
    spec = importlib.util.spec_from_file_location(
        "tests_of_pods", PODS / "__init__.py", submodule_search_locations=[str(PODS)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules[spec.name] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    return importlib.import_module("tests_of_pods.api_server")


async def _run(server: Any, pod: Any, folder: Path, environ: Mapping[str, str]) -> None:
    server.run(pod)
    (container,) = pod["spec"]["containers"]
    process = await asyncio.create_subprocess_exec(
        *container["command"],
        cwd=folder,
        env=dict(environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    server.finish(pod, code=process.returncode, log=output)


@contextmanager
def cluster(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """Serve the API of a cluster inside the context.

    :param folder: the working directory of the commands of containers.
    :param environ: their environment variables.
    :return: the URL of the server, whose only namespace is ``testing``.
    """
    module = _module()
    started: list[str] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        running: set[asyncio.Task[None]] = set()
        async with module.serving() as server:
            server.on_create = lambda pod: running.add(
                asyncio.create_task(_run(server, pod, folder, environ))
            )
            started.append(server.url)
            ready.set()
            await over.wait()
            await asyncio.gather(*running)

    def work() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=work, name="cluster")
    thread.start()
    try:
        ready.wait(30)
        yield started[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
