"""Tasks: what is done with a job, where, and how its end is recorded.

A task knows repositories, quotas and targets; it does not know the pipeline, only the small
runtime that an open pipeline gives it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from pydatatask_core.proc_manager.base import STDOUT as STDOUT

    from .base import Task as Task
    from .executor import ExecutorLiveRepo as ExecutorLiveRepo
    from .executor import ExecutorTask as ExecutorTask
    from .function import FunctionTask as FunctionTask
    from .function import FunctionTaskProtocol as FunctionTaskProtocol
    from .inprocess import InProcessSyncTask as InProcessSyncTask
    from .link import Link as Link
    from .process import ProcessTask as ProcessTask
    from .retry import Retries as Retries
    from .template import Template as Template
    from .written import WritingTask as WritingTask

__all__ = [
    "STDOUT",
    "ExecutorLiveRepo",
    "ExecutorTask",
    "FunctionTask",
    "FunctionTaskProtocol",
    "InProcessSyncTask",
    "Link",
    "ProcessTask",
    "Retries",
    "Task",
    "Template",
    "WritingTask",
]

_SOURCES = {
    ".base": ("Task",),
    ".link": ("Link",),
    ".inprocess": ("InProcessSyncTask",),
    ".function": ("FunctionTask", "FunctionTaskProtocol"),
    ".retry": ("Retries",),
    ".executor": ("ExecutorLiveRepo", "ExecutorTask"),
    ".process": ("ProcessTask",),
    ".template": ("Template",),
    ".written": ("WritingTask",),
    "..proc_manager.base": ("STDOUT",),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
