"""The command line of a pipeline.

Here belong: commands, the parsing of what the user typed, and the printing of what came of it, to
a terminal, to a pipe or as JSON.

Here do not belong: decisions. Whatever a command finds out or does stands in
:mod:`pydatatask_core`, so that code can do it without a command line. Backends are known by the
core's base classes alone, so none needs to be installed. ``click``, ``rich``, ``IPython`` and
``mfusepy`` are imported in this package and nowhere else, the heavy ones only by the command that
needs them.
"""
