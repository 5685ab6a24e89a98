"""Count the words of texts on other machines, which need nothing but sshd.

Usage: main.py FOLDER MACHINE...; a machine is a host name that `ssh` accepts, or HOST:PORT. Each
machine counts two texts at a time. Interrupt the program or cut the network, and run it again:
running jobs continue, and the next run finds them.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

import pydatatask
from pydatatask.proc_manager import ManagerPool
from pydatatask_ssh import ssh_connection

EACH = pydatatask.Resources.parse(cpu=2, mem="1Gi")
SCRIPT = """\
#!/bin/sh -eu
echo "host: $(uname -n)"
echo "words: $(wc -w)"
"""


def make_pipeline(
    folder: Path, machines: list[str], remote_path: str, **login: Any
) -> pydatatask.Pipeline:
    """Create the pipeline.

    :param folder: the folder with the texts in ``texts``; all results go there, too.
    :param machines: the machines.
    :param remote_path: the path of the run directories on the machines.
    :param login: options for the login that are not in ``~/.ssh/config``.
    """
    session = pydatatask.Session()
    members = []
    for number, machine in enumerate(machines):
        host, _, port = machine.partition(":")
        ssh = session.resource(
            ssh_connection(host, int(port) if port else None, optional=True, patience=5, **login)
        )
        manager = pydatatask.SSHLinuxManager("words", ssh, f"{remote_path}/{number}")
        members.append((lambda manager=manager: manager, EACH))
    pool = ManagerPool(members)
    count = pydatatask.ProcessTask(
        "count",
        lambda: pool,
        pydatatask.ResourceManager(pydatatask.Resources.parse(1_000, "1Ti")),
        pydatatask.Resources.parse(cpu=1, mem="64Mi"),
        pids=pydatatask.YamlMetadataFileRepository(folder / "running"),
        template=SCRIPT,
        done=pydatatask.YamlMetadataFileRepository(folder / "done"),
        stdin=pydatatask.FileRepository(folder / "texts", ".txt"),
        stdout=pydatatask.FileRepository(folder / "counts", ".yaml"),
        retries=2,
    )
    return pydatatask.Pipeline([count], session)


async def run(pipeline: pydatatask.Pipeline) -> None:
    """Run the pipeline to its end."""
    async with pipeline:
        print(await pipeline.run())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Count the words of texts on other machines.")
    parser.add_argument("folder", type=Path, help="a folder with texts, texts/NAME.txt")
    parser.add_argument("machine", nargs="+", help="a host of ~/.ssh/config, or HOST:PORT")
    parser.add_argument("--remote-path", default="/tmp/pydatatask", help="the path on the machines")
    parser.add_argument("--key", help="the file of a private key")
    parser.add_argument("--known-hosts", help="a file with the keys of the machines")
    told = parser.parse_args()
    options = {"client_keys": told.key, "known_hosts": told.known_hosts}
    asyncio.run(
        run(
            make_pipeline(
                told.folder,
                told.machine,
                told.remote_path,
                **{name: value for name, value in options.items() if value},
            )
        )
    )
