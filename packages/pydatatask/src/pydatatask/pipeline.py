"""Pipelines: unordered collections of tasks, related by the repositories that they share."""

from ._lazy import documented_names

__getattr__, __dir__ = documented_names(globals())
