"""Unprivileged users of this machine, created for a test."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .finding import unavailable, used

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["User", "ordinary_user"]

KEEPER = Path(__file__).with_name("keep_user.py")
PATIENCE = 60.0
"""Seconds that creating or removing a user may take; processes wait for the lock of /etc/passwd."""


@dataclass(frozen=True)
class User:
    """An unprivileged user with a password.

    :param name: the unique user name.
    :param home: the home folder, which no other unprivileged user may enter.
    """

    name: str
    home: Path
    password: str = field(repr=False)

    @property
    def uid(self) -> int:
        """The numeric user id."""
        return pwd.getpwnam(self.name).pw_uid


@contextmanager
def ordinary_user() -> Iterator[User]:
    """Yield a new user, which is removed afterwards with all its files and processes.

    The user is removed even if the test run is killed. If no user can be created, the test is
    skipped, or fails if services are required.
    """
    missing = [it for it in ("useradd", "chpasswd", "userdel") if shutil.which(it) is None]
    if os.geteuid() != 0 or missing:
        lacks = f"not installed: {', '.join(missing)}" if missing else "only root can create users"
        unavailable("ordinary user", lacks)
    name, password = f"pdt{secrets.token_hex(6)}", secrets.token_urlsafe(16)
    keeper = subprocess.Popen(
        [sys.executable, str(KEEPER), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # survives signals to the test run, to clean up
    )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    try:
        print(password, file=keeper.stdin, flush=True)
        home = keeper.stdout.readline().rstrip("\n")
        assert home, f"the user {name} could not be created"
        used("ordinary user", "useradd, as root")
        yield User(name, Path(home), password)
    finally:
        keeper.stdin.close()
        keeper.stdout.close()
        assert keeper.wait(PATIENCE) == 0, f"the user {name} could not be removed"
