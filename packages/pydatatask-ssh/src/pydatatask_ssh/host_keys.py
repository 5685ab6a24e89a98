"""Messages about rejected host keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncssh

__all__ = ["describe_host_key_problem"]

_PORT = 22


def describe_host_key_problem(options: asyncssh.SSHClientConnectionOptions, name: str) -> str:
    """Return why the key of a host was rejected, with a remedy. This reads files.

    :param options: the options of the connection.
    :param name: the name of the host in messages.
    """
    host, port = options.host, options.port
    alias = host if port == _PORT else f"[{host}]:{port}"
    if _knows(options, host, port):
        return (
            f"{name} presents another host key than the known one: either the machine was "
            "reinstalled, or the connection is being intercepted. If you are certain that it was "
            f"reinstalled, remove the old key with `ssh-keygen -R '{alias}'` and accept the new one"
        )
    return (
        f"the host key of {name} is not known: accept it once with `ssh -p {port} {host}`, which "
        "shows its fingerprint to compare, or pass a file or a list of trusted keys as "
        "`known_hosts`"
    )


def _knows(options: asyncssh.SSHClientConnectionOptions, host: str, port: int) -> bool:
    known: Any = options.known_hosts or str(Path("~/.ssh/known_hosts").expanduser())
    usual = port == _PORT
    for source in known if isinstance(known, list) else [known]:
        try:
            matches = asyncssh.match_known_hosts(source, host, "", None if usual else port)
        except (OSError, ValueError):
            continue  # an unreadable source contains no host; its error is reported elsewhere
        if any(matches[:3]):
            return True
    return False
