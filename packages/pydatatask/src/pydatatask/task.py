"""Tasks: units of execution which act on repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from pydatatask_core.task import (
        STDOUT,
        ExecutorTask,
        FunctionTask,
        FunctionTaskProtocol,
        InProcessSyncTask,
        Link,
        ProcessTask,
        Retries,
        Task,
    )

__all__ = [
    "STDOUT",
    "ExecutorTask",
    "FunctionTask",
    "FunctionTaskProtocol",
    "InProcessSyncTask",
    "Link",
    "ProcessTask",
    "Retries",
    "Task",
]

_SOURCES = {
    "pydatatask_core.task": (
        "ExecutorTask",
        "FunctionTask",
        "FunctionTaskProtocol",
        "InProcessSyncTask",
        "Link",
        "ProcessTask",
        "Retries",
        "STDOUT",
        "Task",
    ),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
