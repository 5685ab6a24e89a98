"""Pipelines: the order in which ready jobs are launched, and the loop of ``Pipeline.run``.

Readiness (apart from listing repositories), backlog, launch guard and graph decide without I/O;
the loop is thin. This package depends on no particular kind of task or repository.
"""

from pydatatask_core.lazy import lazy_names

__getattr__, __dir__ = lazy_names(globals())
