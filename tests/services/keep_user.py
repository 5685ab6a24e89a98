"""Program that creates an unprivileged user on this machine and removes it at the end of stdin.

Usage, as root: keep_user.py NAME, with the password as the first line of stdin. The program prints
the home folder, which only that user may enter. stdin also ends if the parent process is killed;
the user's processes, the user and the folder are then removed as well.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_LONGEST = 30.0


def make(name: str, home: str, password: str) -> None:
    """Create the user."""
    options = ["--no-create-home", "--home-dir", home, "--shell", "/bin/sh"]
    subprocess.run(["useradd", *options, name], check=True, stdout=sys.stderr)
    subprocess.run(["chpasswd"], input=f"{name}:{password}\n", text=True, check=True)
    shutil.chown(home, name, name)


def processes(user: int) -> list[int]:
    """Return the ids of the running processes of a user."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == user:
                state = (entry / "stat").read_text().rpartition(") ")[2][:1]
                found += [int(entry.name)] if state not in "ZX" else []
    return found


def remove(name: str, home: str) -> None:
    """Kill the user's processes, and remove the user and the home folder."""
    deadline = time.monotonic() + _LONGEST
    with contextlib.suppress(KeyError):
        user = pwd.getpwnam(name).pw_uid
        while (pids := processes(user)) and time.monotonic() < deadline:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        subprocess.run(["userdel", "--force", name], check=True, stdout=sys.stderr)
    shutil.rmtree(home, ignore_errors=True)


def main(name: str) -> None:
    """Create a user, wait for the end of stdin, and remove the user."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent process ends this one by closing stdin
    home = tempfile.mkdtemp(prefix=f"{name}-", dir="/tmp")
    try:
        make(name, home, sys.stdin.readline().rstrip("\n"))
        sys.stdout.write(f"{home}\n")
        sys.stdout.flush()
        sys.stdin.read()
    finally:
        remove(name, home)


if __name__ == "__main__":
    main(sys.argv[1])
