"""Ordinary users of this machine, made for a test."""

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
"""Seconds that making or removing one may take; only one process at a time writes /etc/passwd."""


@dataclass(frozen=True)
class User:
    """An ordinary user, who has a password.

    :param name: the name, which nobody else has.
    :param home: the home folder, which nobody else may enter.
    """

    name: str
    home: Path
    password: str = field(repr=False)

    @property
    def uid(self) -> int:
        """The number of the user."""
        return pwd.getpwnam(self.name).pw_uid


@contextmanager
def ordinary_user() -> Iterator[User]:
    """Give a user who is removed afterwards with all files and processes, whatever happens.

    The test is skipped, or fails where services are required, if none can be made.
    """
    missing = [it for it in ("useradd", "chpasswd", "userdel") if shutil.which(it) is None]
    if os.geteuid() != 0 or missing:
        lacks = f"there is no {', '.join(missing)}" if missing else "only root can make one"
        unavailable("ordinary user", lacks)
    name, password = f"pdt{secrets.token_hex(6)}", secrets.token_urlsafe(16)
    keeper = subprocess.Popen(
        [sys.executable, str(KEEPER), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # what ends a whole test run has to leave it to clean up
    )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    try:
        print(password, file=keeper.stdin, flush=True)
        home = keeper.stdout.readline().rstrip("\n")
        assert home, f"the user {name} could not be made"
        used("ordinary user", "useradd, as root")
        yield User(name, Path(home), password)
    finally:
        keeper.stdin.close()
        keeper.stdout.close()
        assert keeper.wait(PATIENCE) == 0, f"the user {name} could not be removed"
