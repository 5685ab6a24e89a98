"""Build data pipelines that do not restrict where data lives or where work runs.

All documented names of the pydatatask packages in one namespace: ``pydatatask.X`` and
``pydatatask.<module>.X`` are the classes of the packages that define them, loaded on first use.
"""

from ._lazy import documented_names

__getattr__, __dir__ = documented_names(globals())
