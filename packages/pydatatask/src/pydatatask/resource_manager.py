"""Quantities of CPU, memory and launches, and quotas of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from pydatatask_core.resource_manager import (
        ResourceManager,
        Resources,
        ResourceType,
        parse_quantity,
    )

__all__ = [
    "ResourceManager",
    "ResourceType",
    "Resources",
    "parse_quantity",
]

_SOURCES = {
    "pydatatask_core.resource_manager": (
        "ResourceManager",
        "ResourceType",
        "Resources",
        "parse_quantity",
    ),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
