"""Process managers: where the processes of a ``ProcessTask`` run, and how they are monitored.

A process manager has to launch processes and to read and write files on its target, nothing else;
a task prepares each job and collects its results with these operations. A manager can offer more
through its ``backend``: start a job in one step, report its exit, find it again after a crash.
``protocol.run_directory`` specifies the files of a job and the order in which they are written;
managers for other machines follow it too.

This package does not depend on jobs, repositories or tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from .backend import ProcessBackend as ProcessBackend
    from .base import STDOUT as STDOUT
    from .base import AbstractProcessManager as AbstractProcessManager
    from .local.manager import LocalLinuxManager as LocalLinuxManager
    from .pool import ManagerPool as ManagerPool
    from .process import LaunchSpec as LaunchSpec
    from .process import Output as Output
    from .process import ProcessRun as ProcessRun
    from .process import ProcessState as ProcessState
    from .process import ProcessStatus as ProcessStatus
    from .process import RunExistsError as RunExistsError

__all__ = [
    "STDOUT",
    "AbstractProcessManager",
    "LaunchSpec",
    "LocalLinuxManager",
    "ManagerPool",
    "Output",
    "ProcessBackend",
    "ProcessRun",
    "ProcessState",
    "ProcessStatus",
    "RunExistsError",
]

_SOURCES = {
    ".base": ("AbstractProcessManager", "STDOUT"),
    ".local.manager": ("LocalLinuxManager",),
    ".pool": ("ManagerPool",),
    ".process": (
        "Output",
        "LaunchSpec",
        "ProcessStatus",
        "ProcessRun",
        "RunExistsError",
        "ProcessState",
    ),
    ".backend": ("ProcessBackend",),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
