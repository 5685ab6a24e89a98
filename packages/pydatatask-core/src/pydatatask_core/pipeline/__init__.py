"""Pipelines: which jobs are ready, in which order they are launched, and the loop around it.

Readiness, backlog, holds and graph decide without I/O (the listing apart); the loop is thin.
Nothing here knows a kind of task or repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from .pipeline import Pipeline
    from .run import Progress, RunSummary

__all__ = ["Pipeline", "Progress", "RunSummary"]

_SOURCES = {
    ".pipeline": ("Pipeline",),
    ".run": (
        "Progress",
        "RunSummary",
    ),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
