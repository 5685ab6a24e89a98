"""Pipelines: the order in which ready jobs are launched, and the loop of ``Pipeline.run``.

Readiness (apart from listing repositories), backlog, launch guard and graph decide without I/O;
the loop is thin. This package depends on no particular kind of task or repository.
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
