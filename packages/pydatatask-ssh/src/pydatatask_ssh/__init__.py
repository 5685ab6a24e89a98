"""Processes on other machines, reached over SSH.

Here belong: the process manager that starts, finds again and ends processes of a remote Linux
machine, a connection that is made again when it breaks, and the translation of the client
library's errors into pydatatask's own.

Here do not belong: hosts, users or keys (the user makes the connection, or says which one to make,
and hands it in through a session resource), knowledge of another backend, and any policy that
:mod:`pydatatask_core` already keeps, such as what a run directory holds or how a job is adopted
after a crash. ``asyncssh`` is imported in this package and nowhere else; nothing of pydatatask but
the core is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from .connection import SSHConnection as SSHConnection
    from .connection import ssh_connection as ssh_connection
    from .errors import SSHConnectionError as SSHConnectionError
    from .errors import SSHLoginError as SSHLoginError
    from .manager import SSHLinuxManager as SSHLinuxManager

__all__ = [
    "SSHConnection",
    "SSHConnectionError",
    "SSHLinuxManager",
    "SSHLoginError",
    "ssh_connection",
]

_SOURCES = {
    ".connection": ("SSHConnection", "ssh_connection"),
    ".errors": ("SSHConnectionError", "SSHLoginError"),
    ".manager": ("SSHLinuxManager",),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
