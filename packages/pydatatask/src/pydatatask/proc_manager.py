"""Process managers: backends that run processes on some machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._documented import documented_names

if TYPE_CHECKING:
    from pydatatask_core.proc_manager import *
    from pydatatask_ssh import SSHLinuxManager as SSHLinuxManager
else:
    __getattr__, __dir__ = documented_names(globals(), ("pydatatask_core.proc_manager",))
