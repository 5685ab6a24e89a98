"""Process managers: where the processes of a ``ProcessTask`` run, and how they are looked after.

A process manager needs to specify how to launch a process and to manipulate a filesystem, nothing
else; a task sets up the environment of a job and retrieves its results by that. What a manager can
do better than that (start a job in one step, tell of its end, find it after a crash) it offers
through its ``runs``. How a job's directory looks, and what makes it survive, is written down in
``supervisor``; a manager for other machines uses the same.

Nothing here knows what a job, a repository or a task is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from .base import STDOUT as STDOUT
    from .base import AbstractProcessManager as AbstractProcessManager
    from .local import LocalLinuxManager as LocalLinuxManager
    from .pool import ManagerPool as ManagerPool
    from .run import Output as Output
    from .run import Plan as Plan
    from .run import Report as Report
    from .run import Run as Run
    from .run import RunExistsError as RunExistsError
    from .run import State as State
    from .runs import Runs as Runs

__all__ = [
    "STDOUT",
    "AbstractProcessManager",
    "LocalLinuxManager",
    "ManagerPool",
    "Output",
    "Plan",
    "Report",
    "Run",
    "RunExistsError",
    "Runs",
    "State",
]

_SOURCES = {
    ".base": ("AbstractProcessManager", "STDOUT"),
    ".local": ("LocalLinuxManager",),
    ".pool": ("ManagerPool",),
    ".run": ("Output", "Plan", "Report", "Run", "RunExistsError", "State"),
    ".runs": ("Runs",),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
