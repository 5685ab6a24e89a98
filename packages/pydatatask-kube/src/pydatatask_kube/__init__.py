"""Tasks that run as pods of a Kubernetes cluster.

This package contains the manager that watches the pods of an application, the tasks that launch
pods and classify how each of them ended, the repository of jobs that have a pod, and the
translation of the client library's errors into those of pydatatask.

It does not contain the setup of clusters or credentials, code that depends on another backend, or
rules that belong to :mod:`pydatatask_core`, such as readiness, quotas and the order in which an
outcome is recorded. ``kubernetes_asyncio`` is imported in this package only, and this package
imports no pydatatask package except the core.
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
