"""Being told by the kernel that a process has ended, whoever its parent is. For Linux."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from pydatatask_core.proc_manager.protocol.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PidFd", "reap_child", "reap_zombie"]


class PidFd:
    """A descriptor of a process, which becomes readable when that ends.

    :param fd: the descriptor, which this owns from now on.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def of(cls, pid: int, is_alive: Callable[[], bool]) -> PidFd | None:
        """Open a descriptor of a process.

        :param pid: the process id.
        :param is_alive: tells whether it is still the one that is meant.
        :return: None if there is no such process any more, or if descriptors are short or the
            system has none of these, so that one has to ask from time to time.
        """
        try:
            fd = cls(os.pidfd_open(pid))
        except (OSError, AttributeError):
            return None
        # Between whoever read its number and this, it may have ended, and another one begun.
        return fd if is_alive() else None

    def watch(self, ended: Callable[[], None]) -> Callable[[], None]:
        """Call a function in the running loop when the process ends.

        :param ended: what to call.
        :return: a function that stops watching.
        """
        loop, fd = asyncio.get_running_loop(), self._fd

        def stop() -> None:
            if not loop.is_closed():
                loop.remove_reader(fd)

        def notice() -> None:
            stop()
            ended()

        loop.add_reader(fd, notice)
        return stop

    def close(self) -> None:
        """Close the descriptor; doing so again does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


def reap_zombie(handle: str | None) -> None:
    """Wait for a supervisor that has ended, if it is a child of this process.

    :param handle: which; it may have been started when this process had another pipeline open.
    """
    identity = None if handle is None else Identity.parse(handle)
    if identity is not None and identity.supervisor_is_zombie():
        reap_child(identity.supervisor)


def reap_child(pid: int, *, wait: bool = False) -> tuple[bool, int | None]:
    """Tell whether a child of this process has ended, or was waited for already.

    :param pid: its process id.
    :param wait: whether to wait until it has.
    :return: that, and its exit status, if it is to be had and it ended by itself.
    """
    try:
        ended, status = os.waitpid(pid, 0 if wait else os.WNOHANG)
    except ChildProcessError:
        return True, None
    exited = ended == pid and os.WIFEXITED(status)
    return ended == pid, os.WEXITSTATUS(status) if exited else None
