"""Tasks that run as pods of a Kubernetes cluster.

This package contains the manager that watches the pods of an application, the tasks that launch
pods and classify how each of them ended, the repository of jobs that have a pod, and the
translation of the client library's errors into those of pydatatask.

It does not contain the setup of clusters or credentials, code that depends on another backend, or
rules that belong to :mod:`pydatatask_core`, such as readiness, quotas and the order in which an
outcome is recorded. ``kubernetes_asyncio`` is imported in this package only, and this package
imports no pydatatask package except the core.
"""

from pydatatask_core.lazy import lazy_names

__getattr__, __dir__ = lazy_names(globals())
