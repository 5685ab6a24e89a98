"""The repositories of a pipeline as folders and files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from pydatatask_cli.commands.fuse import mount

__all__ = ["mount"]

_SOURCES = {"pydatatask_cli.commands.fuse": ("mount",)}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
