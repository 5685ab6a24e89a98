"""Process managers: where, and how, processes run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from pydatatask_core.proc_manager import (
        AbstractProcessManager,
        LocalLinuxManager,
    )

__all__ = [
    "AbstractProcessManager",
    "LocalLinuxManager",
]

_SOURCES = {
    "pydatatask_core.proc_manager": (
        "AbstractProcessManager",
        "LocalLinuxManager",
    ),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
