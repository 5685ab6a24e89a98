"""Being told by the kernel that a process has ended, whoever its parent is. For Linux."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

from .identity import Identity, Process

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["open_pidfd", "reap_child", "reap_zombie", "watch_pidfd"]


def open_pidfd(process: Process | int) -> int | None:
    """Open a descriptor that becomes readable when a process ends.

    :param process: a process, or the id of a child of this one that nobody has waited for.
    :return: the descriptor; None if there is no such process any more, or if descriptors are short
        or the system has none of these, so that one has to ask from time to time.
    """
    pid = process if isinstance(process, int) else process.pid
    try:
        fd = os.pidfd_open(pid)
    except (OSError, AttributeError):
        return None
    # Between whoever read its number and this, the process may have ended, and another one begun.
    if isinstance(process, int) or process.lives():
        return fd
    os.close(fd)
    return None


def watch_pidfd(fd: int, ended: Callable[[], None]) -> Callable[[], None]:
    """Call a function in the running loop when a process ends; then the descriptor is closed.

    :param fd: what :func:`open_pidfd` gave.
    :param ended: what to call.
    :return: a function that stops watching and closes the descriptor.
    """
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if not loop.is_closed():
            loop.remove_reader(fd)
        os.close(fd)

    def notice() -> None:
        with contextlib.suppress(ChildProcessError):  # it need not be a child of this process
            os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOHANG)
        stop()
        ended()

    loop.add_reader(fd, notice)
    return stop


def reap_zombie(handle: str | None) -> None:
    """Wait for a supervisor that has ended, if it is a child of this process.

    :param handle: which; it may have been started when this process had another pipeline open.
    """
    identity = None if handle is None else Identity.parse(handle)
    if identity is not None and identity.supervisor.is_zombie():
        reap_child(identity.supervisor.pid)


def reap_child(pid: int) -> bool:
    """Tell whether a child of this process has ended, or was waited for already."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
