"""Where what is built for the tests is kept."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Give the folder for servers that were built, outside of any checkout.

    It is within the one in which ``./dev`` keeps everything else.
    """
    home = os.environ.get("PYDATATASK_DEV_HOME")
    if not home:
        user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        home = str(Path(user) / "pydatatask-dev")
    return Path(home).resolve() / "services"
