"""Description of the machine on which the benchmark runs."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

__all__ = ["describe_machine", "file_system"]


def describe_machine(files_on: str) -> dict[str, str]:
    """Return the properties of the machine, its load, and the measured version and commit.

    :param files_on: the types of the file systems of the working directories.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "files on": files_on,
        "python": platform.python_version(),
        "pydatatask": metadata.version("pydatatask-core"),
        "commit": _commit(),
        "load at the start": f"{os.getloadavg()[0]:.1f}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "processor"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def file_system(folder: Path) -> str:
    """Return the type of the file system of a folder."""
    kinds = dict(line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines())
    above = [str(folder.resolve()), *map(str, folder.resolve().parents)]
    return next((kinds[place] for place in above if place in kinds), "unknown")


def _commit() -> str:
    if shutil.which("git") is None:
        return "unknown"
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    done = subprocess.run(
        command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
