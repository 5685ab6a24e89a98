"""Pipelines: unordered collections of tasks, related by the repositories that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from pydatatask_core.pipeline import (
        Pipeline,
        Progress,
        RunSummary,
    )

__all__ = [
    "Pipeline",
    "Progress",
    "RunSummary",
]

_SOURCES = {
    "pydatatask_core.pipeline": (
        "Pipeline",
        "Progress",
        "RunSummary",
    ),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
