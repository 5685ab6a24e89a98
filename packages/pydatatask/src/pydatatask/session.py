"""Sessions: live resources that are opened and closed together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from pydatatask_core.session import Session

__all__ = [
    "Session",
]

_SOURCES = {
    "pydatatask_core.session": ("Session",),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
