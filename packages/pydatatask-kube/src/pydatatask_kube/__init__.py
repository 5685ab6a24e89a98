"""Tasks that run as pods of a Kubernetes cluster.

Here belong: the manager that watches the pods of an application, the tasks that launch pods and
tell how each of them ended, the repository of the pods that live, and the translation of the
client library's errors into pydatatask's own.

Here do not belong: the set-up of a cluster or of its credentials, knowledge of another backend,
and any policy that :mod:`pydatatask_core` already keeps, such as readiness, quotas or the order
in which an ending is recorded. ``kubernetes_asyncio`` is imported in this package and nowhere
else; nothing of pydatatask but the core is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from .errors import PodManagerError as PodManagerError
    from .function import KubeFunctionTask as KubeFunctionTask
    from .live import LiveKubeRepository as LiveKubeRepository
    from .manager import PodManager as PodManager
    from .task import KubeTask as KubeTask

__all__ = ["KubeFunctionTask", "KubeTask", "LiveKubeRepository", "PodManager", "PodManagerError"]

_SOURCES = {
    ".errors": ("PodManagerError",),
    ".function": ("KubeFunctionTask",),
    ".live": ("LiveKubeRepository",),
    ".manager": ("PodManager",),
    ".task": ("KubeTask",),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
