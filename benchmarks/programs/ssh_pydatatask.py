"""A script over SSH for each file of a folder; for this version and the published 0.4.7.

Usage: ssh_pydatatask.py ITEMS AT_ONCE, in the folder that contains ``in``. The variables
``BENCH_SSH_*`` describe the server.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh
from whole_run import run_to_the_end

import pydatatask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

session = pydatatask.Session()


@session.resource
async def ssh() -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Log in."""
    async with asyncssh.connect(
        "127.0.0.1",
        port=int(os.environ["BENCH_SSH_PORT"]),
        username=os.environ["BENCH_SSH_USER"],
        client_keys=[os.environ["BENCH_SSH_KEY"]],
        known_hosts=None,
    ) as connection:
        yield connection


def counting(at_once: int) -> pydatatask.Pipeline:
    """Create the pipeline."""
    where = Path("running").resolve()
    manager: list[pydatatask.SSHLinuxManager] = []

    def one_manager() -> pydatatask.SSHLinuxManager:
        if not manager:
            manager.append(pydatatask.SSHLinuxManager("bench", ssh, where))
        return manager[0]

    quota = pydatatask.ResourceManager(pydatatask.Resources.parse(at_once, "64Gi", 1_000_000))
    task = pydatatask.ProcessTask(
        "count",
        one_manager,
        quota,
        pydatatask.Resources.parse(1, "1Mi"),
        pydatatask.YamlMetadataFileRepository("pids"),
        "wc -c\n",
        done=pydatatask.YamlMetadataFileRepository("done"),
        stdin=pydatatask.FileRepository("in", ".txt"),
        stdout=pydatatask.FileRepository("out", ".txt"),
    )
    return pydatatask.Pipeline([task], session, [quota])


run_to_the_end(counting(int(sys.argv[2])))
assert len(list(Path("out").glob("*.txt"))) == int(sys.argv[1])
