"""Saying what is wrong with the key of a host, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncssh

__all__ = ["describe_host_key_problem"]

_PORT = 22


def describe_host_key_problem(options: asyncssh.SSHClientConnectionOptions, name: str) -> str:
    """Say why the key of a host was not accepted. This reads files.

    :param options: what the connection was to be made with.
    :param name: how we call the host.
    """
    host, port = options.host, options.port
    alias = host if port == _PORT else f"[{host}]:{port}"
    if _knows(options, host, port):
        return (
            f"{name} shows another host key than the one that is known: either the machine was set "
            "up anew, or somebody stands in between. If it is certain that it was set up anew, "
            f"forget the old key with `ssh-keygen -R '{alias}'` and accept the new one"
        )
    return (
        f"the host key of {name} is not known: accept it once with `ssh -p {port} {host}`, which "
        "shows its fingerprint to compare, or give a file or keys that are trusted as `known_hosts`"
    )


def _knows(options: asyncssh.SSHClientConnectionOptions, host: str, port: int) -> bool:
    known: Any = options.known_hosts or str(Path("~/.ssh/known_hosts").expanduser())
    usual = port == _PORT
    for source in known if isinstance(known, list) else [known]:
        try:
            matches = asyncssh.match_known_hosts(source, host, "", None if usual else port)
        except (OSError, ValueError):
            continue  # what cannot be read knows nobody; the error that is told is another one
        if any(matches[:3]):
            return True
    return False
