"""Repositories: sets of job ids with a value or file behind each.

This layer does not depend on tasks or pipelines.
"""

from pydatatask_core.lazy import lazy_names

__getattr__, __dir__ = lazy_names(globals())
