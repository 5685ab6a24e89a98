"""Program that runs drivers, one process each, which may kill themselves at any point.

For each driver the program reads a line of JSON, forks, and prints the process id. A fork takes
milliseconds, so hundreds of drivers can be killed in a minute. The optional argument is a file with
a function ``manager(world, passage, **options)``, which returns a factory of process managers and
the session of their resources, or None; the options are part of the line.
"""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2  # noqa: F401 - loaded once, before the forks
import yaml  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydatatask_core import AbstractProcessManager, Session

if __package__ is None:
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from processes.chaos.points import WatchedBlobs, WatchedManager, WatchedMetadata
from processes.chaos.world import World


class Executioner:
    """A countdown that kills this process at a given point.

    :param at: the number of the point, counted from 1; 0 for never.
    """

    def __init__(self, at: int) -> None:
        self.left = at

    async def pass_by(self, name: str) -> None:
        """Count a point, and kill this process if it is the given one."""
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def local_manager(
    world: World, passage: Executioner
) -> tuple[Callable[[], AbstractProcessManager], Session | None]:
    """Return the factory of a local process manager, and no session."""
    manager = WatchedManager("chaos", world.processes, passage)
    return lambda: manager, None


MANAGER: Callable[..., Any] = (
    runpy.run_path(sys.argv[1])["manager"] if sys.argv[1:] else local_manager
)


async def drive(order: dict[str, Any]) -> dict[str, Any]:
    """Run the pipeline until it is quiet, and return the result."""
    world = World(Path(order["world"]))
    executioner = Executioner(order["die_at"])
    for kind in (WatchedMetadata, WatchedBlobs):
        kind.passage = executioner
    manager, session = MANAGER(world, executioner, **order["options"])
    pipeline, quota = world.pipeline(WatchedMetadata, WatchedBlobs, manager, session)
    async with pipeline:
        summary = await pipeline.run(poll=0.05, timeout=90)
        usage = quota.usage()
        return {
            "given_up": summary.given_up,
            "usage": None if usage is None else [str(usage.cpu), str(usage.mem)],
        }


def run(order: dict[str, Any]) -> None:
    """Run a driver in the current process, and write its result."""
    try:
        result = asyncio.run(drive(order))
    except BaseException:  # noqa: BLE001 - the test reports any exception
        result = {"error": traceback.format_exc()}
    passing = Path(order["result"] + "~")
    passing.write_text(json.dumps(result))
    passing.rename(order["result"])


def serve() -> None:
    """Fork a driver for each line of stdin."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # killed drivers are not waited for
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            run(json.loads(line))
            os._exit(0)
        print(pid, flush=True)  # noqa: T201 - the response


if __name__ == "__main__":
    serve()
