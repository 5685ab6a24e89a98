"""Sessions: live resources that are opened and closed together."""

from ._lazy import documented_names

__getattr__, __dir__ = documented_names(globals())
