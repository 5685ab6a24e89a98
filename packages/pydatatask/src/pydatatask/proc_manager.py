"""Process managers: backends that run processes on some machine."""

from ._lazy import documented_names

__getattr__, __dir__ = documented_names(globals())
