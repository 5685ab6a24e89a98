"""Notification by the kernel when a process exits, even one that is not a child. For Linux."""

from __future__ import annotations

import asyncio
import os
import resource
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PidFd", "reap_child"]


_MIN_LIMIT_PER_PIDFD = 4


class PidFd:
    """A descriptor of a process, which becomes readable when the process exits.

    :param fd: the descriptor, which this object will close.
    """

    _count: ClassVar[int] = 0
    """The number of open descriptors."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        PidFd._count += 1

    @classmethod
    def of(cls, pid: int, is_alive: Callable[[], bool]) -> PidFd | None:
        """Open a descriptor of a process.

        :param pid: the process id.
        :param is_alive: returns whether the process with this id is still the expected one.
        :return: None if the process is gone, if no descriptor is available, or if the system does
            not support pidfds, so that the caller has to poll.
        """
        if cls._count >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] // _MIN_LIMIT_PER_PIDFD:
            return None  # the other descriptors are for the rest of the driver
        try:
            fd = cls(os.pidfd_open(pid))
        except (OSError, AttributeError):
            return None
        # The process may have exited and its id may have been reused before the open.
        return fd if is_alive() else None

    def watch(self, ended: Callable[[], None]) -> Callable[[], None]:
        """Register a callback that the running loop calls when the process exits.

        :param ended: the callback.
        :return: a function that unregisters it.
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
            PidFd._count -= 1
            os.close(fd)

    def __del__(self) -> None:
        self.close()


def reap_child(pid: int, *, wait: bool = False) -> tuple[bool, int | None]:
    """Reap a child of this process if it has exited.

    :param pid: its process id.
    :param wait: whether to wait until it exits.
    :return: whether it has exited or was reaped before; and its exit status, if it is known and the
        process was not killed by a signal.
    """
    try:
        ended, status = os.waitpid(pid, 0 if wait else os.WNOHANG)
    except ChildProcessError:
        return True, None
    exited = ended == pid and os.WIFEXITED(status)
    return ended == pid, os.WEXITSTATUS(status) if exited else None
