"""A program: asyncssh's server, which runs commands by the shell of the user.

Usage: asyncssh_server.py PORT FOLDER, where ``host`` and ``authorized_keys`` are in the folder.
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
    """Run a command as sshd does: in a session of its own."""
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
    """Carry bytes from one end to the other until there are no more."""
    with contextlib.suppress(asyncssh.Error, OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    if isinstance(target, asyncio.StreamWriter):
        target.close()


async def serve(port: int, folder: Path) -> None:
    """Serve until somebody ends this."""
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
