"""Streams and other shared utilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._documented import documented_names

if TYPE_CHECKING:
    from pydatatask_core.utils import *
else:
    __getattr__, __dir__ = documented_names(globals(), ("pydatatask_core.utils",))
