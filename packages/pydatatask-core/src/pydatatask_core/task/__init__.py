"""Tasks: which command, function or pod runs for a job, where, and how its outcome is recorded.

A task knows repositories, quotas and hosts. It does not know the pipeline, only the small
:class:`~pydatatask_core.task.runtime.Runtime` that an open pipeline provides.
"""

from pydatatask_core.lazy import lazy_names

__getattr__, __dir__ = lazy_names(globals())
