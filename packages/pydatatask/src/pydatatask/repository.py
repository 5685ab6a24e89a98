"""Repositories: arbitrary key-value stores whose keys are the names of jobs."""

from ._lazy import documented_names

__getattr__, __dir__ = documented_names(globals())
