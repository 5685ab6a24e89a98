"""Process managers: where the processes of a ``ProcessTask`` run, and how they are monitored.

A process manager has to launch processes and to read and write files on its target, nothing else;
a task prepares each job and collects its results with these operations. A manager can offer more
through its ``backend``: start a job in one step, report its exit, find it again after a crash.
``protocol.run_directory`` specifies the files of a job and the order in which they are written;
managers for other machines follow it too.

This package does not depend on jobs, repositories or tasks.
"""

from pydatatask_core.lazy import lazy_names

__getattr__, __dir__ = lazy_names(globals())
