"""The command line of a pipeline.

This package contains the commands, the parsing of arguments, and the printing of results to a
terminal, to a pipe or as JSON.

It makes no decisions about jobs. The operations behind the commands are in
:mod:`pydatatask_core`, so that code can use them without a command line. Backends are used
through the core's base classes alone, so none needs to be installed. ``click``, ``rich``,
``IPython`` and ``mfusepy`` are imported in this package and nowhere else, the heavy ones only by
the commands that need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from .app import App, pass_app
    from .commands.cat import cat_data
    from .commands.inject import inject_data
    from .commands.launch import launch
    from .commands.ls import list_data
    from .commands.rm import delete_data
    from .commands.run import run
    from .commands.shell import shell
    from .commands.status import print_status
    from .commands.trace import print_trace
    from .commands.update import update
    from .entry import main
    from .errors import CommandLineError
    from .group import make_group

__all__ = [
    "App",
    "CommandLineError",
    "cat_data",
    "delete_data",
    "inject_data",
    "launch",
    "list_data",
    "main",
    "make_group",
    "pass_app",
    "print_status",
    "print_trace",
    "run",
    "shell",
    "update",
]

_SOURCES = {
    ".app": ("App", "pass_app"),
    ".commands.cat": ("cat_data",),
    ".commands.inject": ("inject_data",),
    ".commands.launch": ("launch",),
    ".commands.ls": ("list_data",),
    ".commands.rm": ("delete_data",),
    ".commands.run": ("run",),
    ".commands.shell": ("shell",),
    ".commands.status": ("print_status",),
    ".commands.trace": ("print_trace",),
    ".commands.update": ("update",),
    ".errors": ("CommandLineError",),
    ".group": ("make_group",),
    ".entry": ("main",),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
