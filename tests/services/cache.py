"""The cache folder for servers that are built for the tests."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Return the folder for built servers, which is outside of any checkout.

    It is a subfolder of the folder in which ``./dev`` keeps its environments.
    """
    home = os.environ.get("PYDATATASK_DEV_HOME")
    if not home:
        user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        home = str(Path(user) / "pydatatask-dev")
    return Path(home).resolve() / "services"
