"""The repositories of a pipeline as folders and files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._documented import documented_names

if TYPE_CHECKING:
    from pydatatask_cli.commands.fuse import mount as mount
else:
    __getattr__, __dir__ = documented_names(
        globals(), (), {"mount": "pydatatask_cli.commands.fuse"}
    )
