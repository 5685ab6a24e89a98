"""Tasks: units of execution which act on repositories."""

from ._lazy import documented_names

__getattr__, __dir__ = documented_names(globals())
