"""Streams, and what else is used throughout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from pydatatask_core.utils import (
        AReadStream,
        AReadText,
        AWriteStream,
        AWriteText,
        async_copyfile,
        async_copyfile_str,
        roundrobin,
    )

__all__ = [
    "AReadStream",
    "AReadText",
    "AWriteStream",
    "AWriteText",
    "async_copyfile",
    "async_copyfile_str",
    "roundrobin",
]

_SOURCES = {
    "pydatatask_core.utils": (
        "AReadStream",
        "AReadText",
        "AWriteStream",
        "AWriteText",
        "async_copyfile",
        "async_copyfile_str",
        "roundrobin",
    ),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
