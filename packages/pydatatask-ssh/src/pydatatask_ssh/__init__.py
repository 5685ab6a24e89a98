"""Processes on other machines, reached over SSH.

Here belong: the process manager that starts, finds again and ends processes of a remote Linux
machine, and the translation of the client library's errors into pydatatask's own.

Here do not belong: hosts, users or keys (the user makes the connection and hands it in through a
session resource), knowledge of another backend, and any policy that :mod:`pydatatask_core`
already keeps, such as what a run directory holds or how a job is adopted after a crash.
``asyncssh`` is imported in this package and nowhere else; nothing of pydatatask but the core is.
"""
