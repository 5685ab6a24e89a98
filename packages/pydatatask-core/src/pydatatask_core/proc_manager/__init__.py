"""Process managers: where the processes of a ``ProcessTask`` run, and how they are looked after.

A process manager needs to specify how to launch a process and to manipulate a filesystem, nothing
else; a task sets up the environment of a job and retrieves its results by that. What a manager can
do better than that (start a job in one step, tell of its end, find it after a crash) it offers
through its ``runs``. How a job's directory looks, and what makes it survive, is written down in
``protocol.run_directory``; a manager for other machines uses the same.

Nothing here knows what a job, a repository or a task is.
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
