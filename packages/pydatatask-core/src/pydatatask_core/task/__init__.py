"""Tasks: which command, function or pod runs for a job, where, and how its outcome is recorded.

A task knows repositories, quotas and hosts. It does not know the pipeline, only the small
:class:`~pydatatask_core.task.runtime.Runtime` that an open pipeline provides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from pydatatask_core.proc_manager.base import STDOUT as STDOUT

    from .base import Task as Task
    from .executor.task import ExecutorLiveRepo as ExecutorLiveRepo
    from .executor.task import ExecutorTask as ExecutorTask
    from .function import FunctionTask as FunctionTask
    from .function import FunctionTaskProtocol as FunctionTaskProtocol
    from .inprocess import InProcessSyncTask as InProcessSyncTask
    from .link import Link as Link
    from .logging_task import LoggingTask as LoggingTask
    from .process.task import ProcessTask as ProcessTask
    from .retries import Retries as Retries
    from .template import Template as Template

__all__ = [
    "STDOUT",
    "ExecutorLiveRepo",
    "ExecutorTask",
    "FunctionTask",
    "FunctionTaskProtocol",
    "InProcessSyncTask",
    "Link",
    "LoggingTask",
    "ProcessTask",
    "Retries",
    "Task",
    "Template",
]

_SOURCES = {
    "pydatatask_core.proc_manager.base": ("STDOUT",),
    ".base": ("Task",),
    ".executor.task": (
        "ExecutorLiveRepo",
        "ExecutorTask",
    ),
    ".function": (
        "FunctionTask",
        "FunctionTaskProtocol",
    ),
    ".inprocess": ("InProcessSyncTask",),
    ".link": ("Link",),
    ".logging_task": ("LoggingTask",),
    ".process.task": ("ProcessTask",),
    ".retries": ("Retries",),
    ".template": ("Template",),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
