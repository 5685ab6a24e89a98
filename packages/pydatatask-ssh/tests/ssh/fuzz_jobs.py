"""Jobs that modify their run directories, drawn by a seed, and canaries beside them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Iterator

__all__ = ["Canaries", "Case", "canaries_in", "draw", "unblocked"]

FILES = (".stdout", ".stderr", ".status", ".begun", ".script", ".stdin", ".made-0", ".journal")
"""The file names with a meaning, and one that only begins like such a name."""

MAX_BLOCKED_SECONDS = 1.0
"""The maximum time for which one operation may block the loop of a driver."""

SHARE_OF_DIRECTORIES = 0.2
"""The share of cases that modify the run directory as well as files in it."""

_TICK_SECONDS = 0.05

SECRET = "TOP-SECRET"

_REPLACE = {
    "link": "ln -s {secret} {file}",
    "link to folder": "ln -s {folder} {file}",
    "dangling link": "ln -s nowhere {file}",
    "circular link": "ln -s {file} {file}",
    "hard link": "ln {secret} {file}",
    "FIFO": "mkfifo {file}",
    "directory": "mkdir {file}; echo x >{file}/x",
    "sparse": "truncate -s 4T {file}",
    "bytes": "head -c {size} /dev/urandom >{file}",
    "marks": "printf '\\036=0\\n\\0\\377\\n%s\\n' \"$(yes 0 | head -n 99)\" >{file}",
    "forged": "cat {forged} >{file}",
    "empty": ": >{file}",
    "missing": "true",
    "locked": "echo x >{file}; chmod 0 {file}",
    "device": "mknod {file} c 1 {minor}",
    "block device": "mknod {file} b 7 0",
    "other owner": "echo x >{file}; chown 1001 {file}",
}
"""The objects that replace a file."""

_DIRECTORY = {
    "renamed": 'mv "$PWD" "$PWD,x"',
    "moved": 'mv "$PWD" {folder}/moved-$$',
    "linked": 'mv "$PWD" {folder}/moved-$$; ln -s {folder} {place}',
    "replaced": 'mv "$PWD" {folder}/moved-$$; mkdir {place}; cp {forged} {place}/.status',
    "filed": 'mv "$PWD" {folder}/moved-$$; echo >{place}',
    "emptied": 'rm -rf "$PWD"/.[!.]* "$PWD"/*',
    "removed": 'rm -rf "$PWD"',
    "locked": 'chmod 0 "$PWD"',
    "crowded": "mkdir d; cd d; seq 300 | xargs touch; cd ..; chmod 0 d",
}
"""The modifications of the run directory."""

_NEEDS_ROOT = ("device", "block device", "other owner")

_PHASES = {
    "at once": "{act}",
    "at the end": "echo working; sleep 0.05; {act}",
    "behind the end": "( sleep 0.0{digit}; {act} ) </dev/null >/dev/null 2>&1 &",
    "again and again": (
        "( for i in 1 2 3 4 5 6; do {act}; sleep 0.01; done ) </dev/null >/dev/null 2>&1 &"
    ),
    "before it is told to end": "{act}; sleep 60",
}


class Case(NamedTuple):
    """One job.

    :param name: the job.
    :param text: a description of the case.
    :param script: its script.
    :param kills: whether the job does not end by itself.
    """

    name: str
    text: str
    script: str
    kills: bool


def draw(dice: random.Random, name: str, canaries: Canaries) -> Case:
    """Draw a case.

    :param dice: the source of randomness.
    :param name: the job.
    :param canaries: the objects outside.
    """
    root = os.geteuid() == 0
    acts, texts = [], []
    for _ in range(dice.choice((0, 1, 1, 1, 2))):
        kinds = [it for it in _REPLACE if root or it not in _NEEDS_ROOT]
        kind, file = dice.choice(kinds), dice.choice(FILES)
        acts.append(f"rm -rf {file}; {_REPLACE[kind]}".replace("{file}", file))
        texts.append(f"{file} {kind}")
    if (
        not acts or dice.random() < SHARE_OF_DIRECTORIES
    ):  # last, because the working directory changes
        kind = dice.choice(list(_DIRECTORY))
        acts.append(_DIRECTORY[kind])
        texts.append(f"directory {kind}")
    phase = dice.choice(list(_PHASES))
    act = "; ".join(acts)
    for key, value in {
        "{secret}": shlex.quote(str(canaries.secret)),
        "{folder}": shlex.quote(str(canaries.folder)),
        "{forged}": shlex.quote(str(canaries.forged)),
        "{place}": '"$pdt_place"',
        "{size}": str(dice.choice((1, 100, 5000, 70_000))),
        "{minor}": str(dice.choice((3, 5, 9))),
    }.items():
        act = act.replace(key, value)
    body = _PHASES[phase].replace("{act}", act).replace("{digit}", str(dice.randrange(1, 9)))
    status = dice.choice((0, 0, 1))
    script = f"#!/bin/sh\npdt_place=$PWD\necho output\n{body}\nexit {status}\n"
    return Case(name, f"{', '.join(texts)} {phase}, exit {status}", script, "told" in phase)


class Canaries:
    """Objects outside the run directories, which a driver may neither read, write nor signal.

    :param root: a directory for them.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "outside"
        self.folder.mkdir()
        self.secret = self.folder / "secret"
        self.secret.write_text(f"{SECRET}\n")
        self.secret.chmod(0o600)
        (self.folder / ".stdout").write_text(f"{SECRET}\n")
        self.victim = subprocess.Popen(["sleep", "600"], start_new_session=True)
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        stat = Path(f"/proc/{self.victim.pid}/stat").read_text()
        self.forged = root / "forged"
        self.forged.write_text(f"{' ' * 7}\n{boot}{stat}")
        self._before = self._state()

    def _state(self) -> dict[str, Any]:
        found = {}
        for path in (self.secret, self.folder / ".stdout", self.forged):
            status = path.lstat()
            found[path.name] = (path.read_text(), status.st_mode, status.st_uid, status.st_mtime_ns)
        return found

    def check(self) -> None:
        """Check that they are unchanged."""
        assert self._state() == self._before
        assert self.victim.poll() is None
        left = {path.name for path in self.folder.iterdir() if "moved-" not in path.name}
        assert left == {"secret", ".stdout"}

    def close(self) -> None:
        """End the process."""
        self.victim.kill()
        self.victim.wait()


@contextlib.contextmanager
def canaries_in(root: Path) -> Iterator[Canaries]:
    """Create canaries, and check them at the end.

    :param root: a directory for them.
    """
    canaries = Canaries(root)
    try:
        yield canaries
        canaries.check()
    finally:
        canaries.close()


class _Clock(threading.Thread):
    """Counts its own ticks, as a measure of the processor time available to a thread."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ticks = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(_TICK_SECONDS):
            self.ticks += 1


@contextlib.asynccontextmanager
async def unblocked() -> AsyncIterator[None]:
    """Fail if one operation blocks the running loop for too long.

    Only time in which another thread can run counts, because the machine is shared.
    """
    longest, loop, clock = 0.0, asyncio.get_running_loop(), _Clock()
    handle: asyncio.TimerHandle | None = None
    clock.start()
    last = clock.ticks

    def tick() -> None:
        nonlocal longest, last, handle
        longest, last = max(longest, (clock.ticks - last - 1) * _TICK_SECONDS), clock.ticks
        handle = loop.call_later(_TICK_SECONDS, tick)

    tick()
    try:
        yield
    finally:
        if handle is not None:
            handle.cancel()
        clock.over.set()
    assert longest < MAX_BLOCKED_SECONDS, f"the loop was blocked for {longest:.2f} s"
