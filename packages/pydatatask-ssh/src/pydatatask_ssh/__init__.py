"""Processes on other machines, reached over SSH.

This package contains the process manager that starts, finds and terminates processes on a remote
Linux machine, a connection that is re-established when it breaks, and the translation of the client
library's errors to those of pydatatask.

It does not choose hosts, users or keys (the user opens the connection, or specifies which one to
open, and passes it in through a session resource), does not know other backends, and has no policy
of its own where :mod:`pydatatask_core` has one, such as the contents of a run directory or the
adoption of a job after a crash. ``asyncssh`` is imported in this package only; of pydatatask, only
the core is imported.
"""

from pydatatask_core.lazy import lazy_names

__getattr__, __dir__ = lazy_names(globals())
