"""The command line of a pipeline.

This package contains the commands, the parsing of arguments, and the printing of results to a
terminal, to a pipe or as JSON.

It makes no decisions about jobs. The operations behind the commands are in
:mod:`pydatatask_core`, so that code can use them without a command line. Backends are used
through the core's base classes alone, so none needs to be installed. ``click``, ``rich``,
``IPython`` and ``mfusepy`` are imported in this package and nowhere else, the heavy ones only by
the commands that need them.
"""

from pydatatask_core.lazy import lazy_names

__getattr__, __dir__ = lazy_names(globals())
