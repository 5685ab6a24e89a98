"""Tasks: units of execution which act on repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._documented import documented_names

if TYPE_CHECKING:
    from pydatatask_core.task import *
    from pydatatask_kube import KubeFunctionTask as KubeFunctionTask
    from pydatatask_kube import KubeTask as KubeTask
else:
    __getattr__, __dir__ = documented_names(globals(), ("pydatatask_core.task",))
