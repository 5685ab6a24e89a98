"""Amounts of CPU, memory and launches, and quotas of them."""

from ._lazy import documented_names

__getattr__, __dir__ = documented_names(globals())
