"""Faults that are injected into a machine while a pipeline runs on it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydatatask_core.proc_manager.local.inspect import read_identity

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from .world import World

_ENOUGH_POINTS = 60


class Chaos:
    """A sequence of faults: killed drivers, killed processes, removed run directories.

    :param world: the folder of the pipeline.
    :param dice: the random number generator that selects the faults.
    :param server: the program that starts drivers.
    """

    def __init__(self, world: World, dice: random.Random, server: DriverServer) -> None:
        self.world = world
        self.dice = dice
        self.server = server
        self.attacked: set[tuple[str, str]] = set()
        """The stage and job of each attacked process."""
        self.filled = False
        """True if the file system was full at some time."""
        self.hits: Counter[tuple[str, str]] = Counter()
        """The number of attacks on supervisors, by role and signal."""
        self._roles: dict[int, str] = {}
        self._suspended: list[int] = []

    def attack(self) -> None:
        """Attack a random process, if any exists."""
        directories = self.world.directories()
        if not directories:
            return
        directory = self.dice.choice(directories)
        identity = _identity(directory)
        self._note(directory)
        how = self.dice.choice([kill_supervisors, kill_process, kill_group, shutil_rmtree])
        how(directory)
        if how is kill_supervisors and identity is not None:
            # The supervisor may have started another job that has not written its identity yet.
            for other in self.world.directories():
                found = _identity(other)
                if found is None or found.supervisor == identity.supervisor:
                    self._note(other)

    def attack_supervisor(self) -> None:
        """Kill, suspend or continue one of the two supervisors of a random process.

        Only one of the two is ever attacked, so no job counts as attacked.
        """
        if self.dice.random() < 0.5:
            self.continue_suspended()
        directories = self.world.directories()
        identity = _identity(self.dice.choice(directories)) if directories else None
        if identity is None:
            return
        members = supervisors_of(identity.supervisor)
        role = self._roles.setdefault(identity.supervisor, self.dice.choice(["inner", "outer"]))
        if role in members:
            number = self.dice.choice([signal.SIGKILL, signal.SIGSTOP])
            _kill(os.kill, members[role], number)
            if number == signal.SIGSTOP:
                self._suspended.append(members[role])
            self.hits[role, number.name] += 1

    def continue_suspended(self) -> None:
        """Continue the supervisors that are suspended."""
        while self._suspended:
            _kill(os.kill, self._suspended.pop(), signal.SIGCONT)

    def _note(self, directory: Path) -> None:
        self.attacked.add((directory.parents[2].name, directory.name))

    def fill(self) -> None:
        """Fill the file system of the processes for up to 0.2 seconds."""
        self.filled = True
        ballast = self.world.processes / f"ballast{self.dice.random()}"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        time.sleep(self.dice.random() / 5)
        ballast.unlink()

    def live(self, drivers: int, events: list[Callable[[], None]]) -> dict[str, Any]:
        """Kill several drivers one after the other, and return the result of a last one.

        :param drivers: the number of drivers to kill.
        :param events: the faults that may be injected while a driver runs.
        """
        for number in range(drivers):
            at = self.dice.randrange(1, _ENOUGH_POINTS) if self.dice.random() < 0.6 else 0
            driver = self.server.start(self.world, f"result{number}", at)
            deadline = time.monotonic() + self.dice.random() * (1.5 if at else 0.6)
            while driver.lives() and time.monotonic() < deadline:
                if events and self.dice.random() < 0.3:
                    self.dice.choice(events)()
                time.sleep(0.02)
            driver.kill()
            if (result := driver.result()) is not None:
                assert "error" not in result, result["error"]
        self.continue_suspended()
        driver = self.server.start(self.world, "result", 0)
        while driver.lives():
            time.sleep(0.02)
        result = driver.result()
        assert result is not None, "the last driver ended without a result"
        assert "error" not in result, result["error"]
        return result


class Driver:
    """A driver in its own process.

    :param pid: the process id.
    :param result: the file to which the driver writes its result.
    """

    def __init__(self, pid: int, result: Path) -> None:
        self._pid = pid
        self._result = result

    def lives(self) -> bool:
        """Return True if the process exists."""
        return Path(f"/proc/{self._pid}").exists()

    def kill(self) -> None:
        """Kill the driver, and wait until its process is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        while self.lives():
            time.sleep(0.002)

    def result(self) -> dict[str, Any] | None:
        """Return the result of the driver, or None if it did not finish."""
        if not self._result.exists():
            return None
        result: dict[str, Any] = json.loads(self._result.read_text())
        return result


class DriverServer:
    """A program that starts drivers; see ``driver``.

    :param manager: the file that creates their process manager; None for a local one.
    :param options: the options passed to the function in that file.
    """

    def __init__(self, manager: Path | None = None, **options: Any) -> None:
        self._options = options
        program = str(Path(__file__).with_name("driver.py"))
        self._process = subprocess.Popen(
            [sys.executable, program, *([] if manager is None else [str(manager)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, world: World, name: str, die_at: int) -> Driver:
        """Start a driver.

        :param world: the folder of the pipeline.
        :param name: the name of the file for its result.
        :param die_at: the number of the point at which the driver kills itself; 0 for never.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        result = world.root / name
        order = {
            "world": str(world.root),
            "die_at": die_at,
            "result": str(result),
            "options": self._options,
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Driver(int(self._process.stdout.readline()), result)

    def close(self) -> None:
        """Stop the program."""
        self._process.communicate()


@contextlib.contextmanager
def tiny_disk(place: Path) -> Iterator[bool]:
    """Mount a file system of 1 MiB, and yield True if that succeeded."""
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0755", "tmpfs", str(place)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(place)], check=True)


def supervisors_of(outer: int) -> dict[str, int]:
    """Return the living processes of a supervisor, by their role.

    :param outer: the process id of the outer one, which is the id of their session.
    """
    members = {}
    for path in Path("/proc").glob("[1-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent, _, session = path.read_text().rpartition(") ")[2].split()[:4]
            pid = int(path.parent.name)
            if int(session) == outer and state != "Z":
                if pid == outer:
                    members["outer"] = pid
                elif int(parent) == outer or "outer" not in members:
                    members["inner"] = pid
    return members


def kill_supervisors(directory: Path) -> None:
    """Kill both supervisors of a process."""
    identity = _identity(directory)
    if identity is not None:
        for pid in supervisors_of(identity.supervisor).values():
            _kill(os.kill, pid)


def kill_process(directory: Path) -> None:
    """Kill a process, but not its group."""
    identity = _identity(directory)
    if identity is not None and identity.process.is_alive():
        _kill(os.kill, identity.process.pid)


def kill_group(directory: Path) -> None:
    """Kill a process and its whole group."""
    identity = _identity(directory)
    if identity is not None and identity.process.is_alive():
        _kill(os.killpg, identity.process.pid)


def shutil_rmtree(directory: Path) -> None:
    """Remove a run directory while its job may be running."""
    shutil.rmtree(directory, ignore_errors=True)


def _identity(directory: Path) -> Any:
    try:
        return read_identity(str(directory))
    except OSError:
        return None


def _kill(how: Callable[[int, int], None], pid: int, number: int = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        how(pid, number)
