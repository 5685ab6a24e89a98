"""Streams and other shared utilities."""

from ._lazy import documented_names

__getattr__, __dir__ = documented_names(globals())
