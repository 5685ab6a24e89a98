"""The core of pydatatask: repositories, tasks, local processes, sessions and the pipeline loop.

The core contains everything that a pipeline on one machine needs, and the contracts that backends
implement. It imports no client library of a service and has no command line. Modules are loaded
when they are first used; networkx, jinja2 and yaml are imported when a function first needs them.

Lower layers do not import higher ones: ``errors`` < ``utils`` < ``session``, ``resource_manager``
< ``repository``, ``proc_manager`` < ``task`` < ``pipeline`` < ``testing``.
"""

from .lazy import lazy_names

__getattr__, __dir__ = lazy_names(globals())
