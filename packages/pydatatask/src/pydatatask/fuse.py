"""The repositories of a pipeline as folders and files."""

from ._lazy import documented_names

__getattr__, __dir__ = documented_names(globals())
