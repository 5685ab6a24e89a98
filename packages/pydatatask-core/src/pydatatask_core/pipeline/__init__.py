"""Pipelines: which jobs are ready, in which order they are launched, and the loop around it.

Readiness, backlog, holds and graph decide without I/O (the listing apart); the loop is thin.
Nothing here knows a kind of task or repository.
"""

from __future__ import annotations

from .loop import Progress, RunSummary
from .pipeline import Pipeline

__all__ = ["Pipeline", "Progress", "RunSummary"]
