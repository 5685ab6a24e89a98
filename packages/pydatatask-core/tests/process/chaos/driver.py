"""A program that runs drivers: one process each, which may kill itself at any point.

It reads a line of JSON for each driver, forks, and answers with the process id. So a driver is
there in milliseconds, and hundreds of them can be killed in a minute.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import jinja2  # noqa: F401 - loaded once, before the forks
import yaml  # noqa: F401

if __package__ is None:
    sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from process.chaos.points import WatchedBlobs, WatchedManager, WatchedMetadata
from process.chaos.world import World


class Executioner:
    """Kills this process at a point.

    :param at: the number of the point, from 1 on; 0 for none.
    """

    def __init__(self, at: int) -> None:
        self.left = at

    async def pass_by(self, name: str) -> None:
        """Come by a point."""
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


async def drive(order: dict[str, Any]) -> dict[str, Any]:
    """Run the pipeline until it is quiet, and tell how it went."""
    world = World(Path(order["world"]))
    executioner = Executioner(order["die_at"])
    for kind in (WatchedMetadata, WatchedBlobs):
        kind.passage = executioner
    manager = WatchedManager("chaos", world.processes, executioner)
    pipeline, quota = world.pipeline(WatchedMetadata, WatchedBlobs, manager)
    async with pipeline:
        summary = await pipeline.run(poll=0.05, timeout=90)
        usage = quota.usage()
        return {
            "given_up": summary.given_up,
            "usage": None if usage is None else [str(usage.cpu), str(usage.mem)],
        }


def run(order: dict[str, Any]) -> None:
    """Be a driver, in a process of its own."""
    try:
        result = asyncio.run(drive(order))
    except BaseException:  # noqa: BLE001 - whatever it is, it is what the test wants to know
        result = {"error": traceback.format_exc()}
    passing = Path(order["result"] + "~")
    passing.write_text(json.dumps(result))
    passing.rename(order["result"])


def serve() -> None:
    """Make a driver for each line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that were killed
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            run(json.loads(line))
            os._exit(0)
        print(pid, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    serve()
