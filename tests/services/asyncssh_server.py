"""Program that runs an asyncssh server, which executes commands with the user's shell.

Usage: asyncssh_server.py PORT FOLDER. The folder contains ``host`` and ``authorized_keys``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import asyncssh


async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """Run a command in its own session, as sshd does."""
    shell = os.environ.get("SHELL", "/bin/sh")
    command = ["-c", process.command] if process.command else []
    child = await asyncio.create_subprocess_exec(
        shell,
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    feeding = asyncio.create_task(carry(process.stdin, child.stdin))
    await asyncio.gather(
        carry(child.stdout, process.stdout), carry(child.stderr, process.stderr), child.wait()
    )
    feeding.cancel()
    process.exit(child.returncode or 0)


async def carry(source: Any, target: Any) -> None:
    """Copy bytes from the source to the target until the source ends."""
    with contextlib.suppress(asyncssh.Error, OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    if isinstance(target, asyncio.StreamWriter):
        target.close()


async def serve(port: int, folder: Path) -> None:
    """Serve until the process is terminated."""
    await asyncssh.listen(
        "127.0.0.1",
        port,
        server_host_keys=[str(folder / "host")],
        authorized_client_keys=str(folder / "authorized_keys"),
        process_factory=run,
        sftp_factory=True,
        encoding=None,
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
