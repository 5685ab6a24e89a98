"""Attacks on run directories, and the objects that they must not reach."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

SECRET = "TOP-SECRET"
OTHER_USER = 65534

MAX_BLOCKED_TICKS = 50
"""The maximum number of ticks, 20 ms apart, of a second thread while the loop is blocked."""

_TICK_SECONDS = 0.02

STREAMS = (".stdout", ".stderr")
FILES = (".script", ".stdin", ".stdout", ".stderr", ".status", ".begun")


class Attack(NamedTuple):
    """One modification of one run directory.

    :param name: the file, or ``.`` for the directory.
    :param how: the key of :data:`ATTACKS` or :data:`ATTACKS_ON_DIRECTORY`.
    """

    name: str
    how: str


class Canary:
    """A file, a directory and a process that no attack may reach through the driver.

    :param folder: where to create them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "canary"
        self.folder.mkdir()
        self.file = self.folder / ".stdout"
        self.file.write_text(SECRET)
        self.process = subprocess.Popen(["sleep", "600"], start_new_session=True)
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        line = Path(f"/proc/{self.process.pid}/stat").read_text().strip()
        self.status = f"{0:7d}\n{boot}\n{line}\n"
        for name in (".begun", ".script", ".stderr"):
            (self.folder / name).write_text(SECRET)
        (self.folder / ".status").write_text(self.status)
        self._before = self._look()

    def _look(self) -> list[tuple[str, str, int]]:
        return sorted(
            (path.name, path.read_text(), stat.S_IMODE(path.stat().st_mode))
            for path in self.folder.iterdir()
        )

    def check(self, root: Path) -> None:
        """Check that none of it was read, written, removed or signalled."""
        assert self._look() == self._before
        assert self.process.poll() is None
        for folder in ("out", "err", "done", "pids"):
            for path in (root / folder).glob("*"):
                assert SECRET not in path.read_text(errors="replace"), path
        for path in (root / "processes").glob("*/*/*/failed/*/.std*"):
            assert SECRET not in path.read_text(errors="replace"), path

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def _huge(path: Path, canary: Canary, dice: random.Random) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 42)


def _noise(path: Path, canary: Canary, dice: random.Random) -> None:
    path.write_bytes(dice.randbytes(dice.choice((1, 7, 100, 5000, 70_000))))


def _numbers(path: Path, canary: Canary, dice: random.Random) -> None:
    path.write_bytes(b"9" * 4000 + b"\n\n" + b"9" * 40 + b" (x) R" + b" 9" * 40 + b"\n\n")


def _other_owner(path: Path, canary: Canary, dice: random.Random) -> None:
    path.write_text("of another user")
    os.chown(path, OTHER_USER, OTHER_USER)


ATTACKS: dict[str, Callable[[Path, Canary, random.Random], object]] = {
    "removed": lambda path, canary, dice: None,
    "symbolic link": lambda path, canary, dice: path.symlink_to(canary.file),
    "dangling link": lambda path, canary, dice: path.symlink_to(canary.folder / "absent"),
    "link to a directory": lambda path, canary, dice: path.symlink_to(canary.folder),
    "hard link": lambda path, canary, dice: os.link(canary.file, path),
    "fifo": lambda path, canary, dice: os.mkfifo(path),
    "directory": lambda path, canary, dice: path.mkdir(),
    "huge": _huge,
    "noise": _noise,
    "numbers": _numbers,
    "forged": lambda path, canary, dice: path.write_text(canary.status),
}

if os.geteuid() == 0:
    ATTACKS["device"] = lambda path, canary, dice: os.mknod(
        path, stat.S_IFCHR | 0o600, os.makedev(1, 5)
    )
    ATTACKS["other owner"] = _other_owner

REFUSED = frozenset(ATTACKS) - {"removed", "noise", "numbers", "forged"}
"""The attacks after which a stream is not a regular file any more."""

ATTACKS_ON_DIRECTORY: dict[str, Callable[[Path, Canary], object]] = {
    "renamed": lambda place, canary: None,
    "replaced by a link": lambda place, canary: place.symlink_to(canary.folder),
    "replaced by a directory": lambda place, canary: shutil.copytree(canary.folder, place),
    "replaced by a file": lambda place, canary: place.write_text(""),
    "replaced by a fifo": lambda place, canary: os.mkfifo(place),
}

ALL = [Attack(name, how) for name in FILES for how in ATTACKS] + [
    Attack(".", how) for how in ATTACKS_ON_DIRECTORY
]


def carry_out(attack: Attack, place: Path, canary: Canary, dice: random.Random) -> None:
    """Modify a run directory.

    :param attack: the modification.
    :param place: the directory.
    :param canary: the target of the attack.
    :param dice: decides on the content.
    """
    if attack.name == ".":
        place.rename(canary.folder.parent / f"renamed-{place.name}-{dice.random()}")
        ATTACKS_ON_DIRECTORY[attack.how](place, canary)
        return
    path = place / attack.name
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    ATTACKS[attack.how](path, canary, dice)


@contextlib.contextmanager
def watched_signals(canary: Canary, monkeypatch: Any) -> Iterator[None]:
    """Check that each signalled process descends from a supervisor of this process.

    :param canary: a child that is not one.
    :param monkeypatch: replaces the functions that send signals.
    """
    strangers: list[tuple[int, object]] = []

    def checked(signal_it: Callable[[int, int], None]) -> Callable[[int, int], None]:
        def function(pid: int, number: int) -> None:
            allowed = is_child(pid) or descends_from_this(pid)
            if number != 0 and (pid == canary.process.pid or not allowed):
                strangers.append((pid, signal.Signals(number)))
                return
            signal_it(pid, number)

        return function

    monkeypatch.setattr(os, "kill", checked(os.kill))
    monkeypatch.setattr(os, "killpg", checked(os.killpg))
    yield
    assert strangers == []


def is_child(pid: int) -> bool:
    """Return True if a process is a child of this one, without reading anything."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def descends_from_this(pid: int) -> bool:
    """Return True if a process has ended or is a descendant of this one."""
    while pid > 1:
        try:
            line = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        pid = int(line.rpartition(") ")[2].split()[1])
        if pid == os.getpid():
            return True
    return False


@contextlib.asynccontextmanager
async def never_blocked() -> Any:
    """Check that the running loop is never blocked for longer than a second.

    A second thread counts the time, and a busy machine slows down that thread as well.
    """
    ticks, worst, over = [0], [0], threading.Event()

    def tick() -> None:
        while not over.wait(_TICK_SECONDS):
            ticks[0] += 1
            worst[0] = max(worst[0], ticks[0])

    async def beat() -> None:
        while True:
            ticks[0] = 0
            await asyncio.sleep(_TICK_SECONDS)

    thread = threading.Thread(target=tick, daemon=True)
    beating = asyncio.create_task(beat())
    thread.start()
    try:
        yield
    finally:
        over.set()
        beating.cancel()
        thread.join()
    assert worst[0] <= MAX_BLOCKED_TICKS, f"the loop was blocked for {worst[0]} ticks"


class Gate:
    """A FIFO at which scripts wait without using the processor.

    :param path: where to create it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._fd = -1

    def open(self) -> None:
        """Release all scripts that wait now or arrive later."""
        self._fd = os.open(self.path, os.O_RDWR)

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
