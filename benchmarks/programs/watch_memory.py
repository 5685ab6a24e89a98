"""Run a program that runs scripts, and measure the memory of its processes.

Usage: watch_memory.py ITEMS AT_ONCE [--hold] COMMAND..., in the folder that contains ``out``.

The figures are the maximum memory of the program itself (``driver``), and with ``--hold`` the
memory of all processes besides the driver and the scripts (``supervisors``) and the ``number`` of
these processes. They are measured while the last scripts wait (``scripts_held.py``).

Memory is the proportional set size (PSS): a page that several processes share counts for each of
them in part. This program is a child subreaper, so that all processes started by the driver, even
detached ones, are its descendants.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(str(Path(__file__).resolve().parents[1]))

from harness.reaper import become_subreaper

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ["descendants", "supervisors"]

INTERVAL_SECONDS = 0.1
START_TIMEOUT_SECONDS = 120
HELD_ITEMS = 1_000
"""The scripts are held when at most so many have not finished, so that one sample suffices."""


def parents() -> dict[int, int]:
    """Return the parent of each process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text(errors="replace").rpartition(")")[2].split()[:2]
        except OSError:
            continue  # it has exited
        if state != "Z":
            found[int(path.parent.name)] = int(parent)
    return found


def descendants(of: Collection[int], parent_of: Mapping[int, int]) -> set[int]:
    """Return all descendants of some processes.

    :param of: the processes.
    :param parent_of: the parent of each process.
    """
    found: set[int] = set()
    generation = set(of)
    while generation:
        generation = {pid for pid, parent in parent_of.items() if parent in generation} - found
        found |= generation
    return found


def supervisors(
    root: int, driver: int, jobs: Collection[int], parent_of: Mapping[int, int]
) -> set[int]:
    """Return the processes that belong to a driver and are neither the driver nor a job.

    :param root: the process whose descendants belong to the driver.
    :param driver: the driver.
    :param jobs: the processes of the scripts; their descendants are part of them.
    :param parent_of: the parent of each process.
    """
    return descendants({root}, parent_of) - {driver, *jobs} - descendants(jobs, parent_of)


def held_jobs(parent_of: Mapping[int, int]) -> set[int]:
    """Return the scripts that wait: the topmost processes with their variable."""
    marked = {pid for pid in descendants({os.getpid()}, parent_of) if _is_marked(pid)}
    return {pid for pid in marked if parent_of[pid] not in marked}


def _is_marked(pid: int) -> bool:
    try:
        return b"BENCH_JOB=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False  # it has exited


def proportional_size(pid: int) -> int:
    """Return the PSS of a process in bytes; 0 if it has exited."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


class Watch:
    """A running driver, and the maximum of its memory.

    :param driver: the process.
    """

    def __init__(self, driver: subprocess.Popen[bytes]) -> None:
        self.driver = driver
        self.largest = 0

    def sample_until(self, condition: Callable[[], bool]) -> None:
        """Measure the memory of the driver until a condition is met or the driver exits."""
        while self.driver.poll() is None and not condition():
            self.largest = max(self.largest, proportional_size(self.driver.pid))
            time.sleep(INTERVAL_SECONDS)

    def measure_held(self, at_once: int) -> dict[str, float]:
        """Wait until scripts are held, and return the memory of the supervisors.

        :param at_once: the number of scripts.
        """
        deadline = time.monotonic() + START_TIMEOUT_SECONDS

        def all_held() -> bool:
            assert time.monotonic() < deadline, "the scripts do not start"
            return len(held_jobs(parents())) == at_once

        self.sample_until(all_held)
        assert self.driver.poll() is None, "the driver exited before its scripts were held"
        parent_of = parents()
        pids = supervisors(os.getpid(), self.driver.pid, held_jobs(parent_of), parent_of)
        return {"supervisors": sum(map(proportional_size, pids)), "number": len(pids)}


def main() -> None:
    """Run the program of the command line, and print the figures."""
    items, at_once = map(int, sys.argv[1:3])
    hold = sys.argv[3] == "--hold"
    hold_file = Path("hold")
    become_subreaper()

    def last_items() -> bool:
        return items - len(os.listdir("out")) <= HELD_ITEMS

    if hold and last_items():
        hold_file.touch()
    watch = Watch(subprocess.Popen(sys.argv[4:] if hold else sys.argv[3:]))
    figures: dict[str, float] = {}
    if hold:
        watch.sample_until(last_items)
        hold_file.touch()
        try:
            figures = watch.measure_held(at_once)
        finally:
            hold_file.unlink()
    watch.sample_until(lambda: False)
    assert watch.driver.returncode == 0, f"exit status {watch.driver.returncode}"
    if watch.largest:  # 0 if it exited before the first sample
        figures["driver"] = watch.largest
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
