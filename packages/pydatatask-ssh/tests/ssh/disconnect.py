"""Cutting connections at the server."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.sshd import SSHServer

__all__ = ["cut", "sessions"]


def sessions(server: SSHServer) -> list[int]:
    """List the sshd processes that serve one connection each."""
    master = int((server.folder / "pid").read_text())
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            stat = (entry / "stat").read_text()
            if int(stat.rpartition(") ")[2].split()[1]) == master:
                found.append(int(entry.name))
    return found


def cut(server: SSHServer) -> None:
    """End every connection as a crash of the server would, even while it is in use."""
    for pid in sessions(server):
        for process in [*_children(pid, "sshd"), pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def _children(pid: int, name: str) -> list[int]:
    """List the children with a given name; sshd has one if it separates privileges."""
    found: list[int] = []
    for line in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            children = map(int, line.read_text().split())
            found += [it for it in children if Path(f"/proc/{it}/comm").read_text() == f"{name}\n"]
    return found
