"""Tasks: what is done with a job, where, and how its end is recorded.

A task knows repositories, quotas and targets; it does not know the pipeline, only the small
runtime that an open pipeline gives it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from .base import Task as Task
    from .link import Link as Link
    from .inprocess import InProcessSyncTask as InProcessSyncTask
    from .function import FunctionTask as FunctionTask
    from .function import FunctionTaskProtocol as FunctionTaskProtocol
    from .retry import Retries as Retries
    from .executor import ExecutorLiveRepo as ExecutorLiveRepo
    from .executor import ExecutorTask as ExecutorTask
    from .process import ProcessTask as ProcessTask
    from ..proc_manager.base import STDOUT as STDOUT

__all__ = [
    "ExecutorLiveRepo",
    "ExecutorTask",
    "FunctionTask",
    "FunctionTaskProtocol",
    "InProcessSyncTask",
    "Link",
    "ProcessTask",
    "Retries",
    "STDOUT",
    "Task",
]

_SOURCES = {
    ".base": ("Task",),
    ".link": ("Link",),
    ".inprocess": ("InProcessSyncTask",),
    ".function": ("FunctionTask", "FunctionTaskProtocol"),
    ".retry": ("Retries",),
    ".executor": ("ExecutorLiveRepo", "ExecutorTask"),
    ".process": ("ProcessTask",),
    "..proc_manager.base": ("STDOUT",),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
