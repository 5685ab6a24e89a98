"""The peers' environments: one for each, so that none disturbs another or ours.

They are kept outside the checkout, where ``./dev`` keeps everything else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

__all__ = ["PEERS", "UnavailableError", "cache_folder", "python_of", "tool"]

PEERS = {
    "dask": "dask[distributed]==2026.8.0",
    "doit": "doit==0.37.0",
    "joblib": "joblib==1.6.0",
    "luigi": "luigi==3.8.1",
    "parsl": "parsl==2026.10.26",
    "pydatatask-0.4.7": "pydatatask==0.4.7",
    "s3fs": "s3fs==2026.9.0",
    "snakemake": "snakemake==9.27.1",
}
"""What pip installs for each. With other versions the figures cannot be compared."""


class UnavailableError(Exception):
    """A peer cannot be run here, for the reason that the message gives."""


def cache_folder() -> Path:
    """Give the folder in which environments are kept."""
    home = os.environ.get("PYDATATASK_DEV_HOME")
    if not home:
        user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        home = str(Path(user) / "pydatatask-dev")
    return Path(home).resolve() / "benchmarks"


def python_of(peer: str | None) -> Path:
    """Give the Python of a peer's environment, which is made if there is none.

    :param peer: one of :data:`PEERS`, or None for ours.
    :raises UnavailableError: if it cannot be installed.
    """
    if peer is None:
        return Path(sys.executable)
    requirement = PEERS[peer]
    name, _, version = requirement.partition("==")
    python_version = f"py{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache_folder() / f"{name.partition('[')[0]}-{version}-{python_version}"
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    if not ready.exists():
        print(f"making the environment of {requirement}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        uv = [sys.executable, "-m", "uv"] if find_spec("uv") else ["uv"]
        _run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
        # setuptools: some of them use it and do not say so.
        install = [*uv, "pip", "install", "--quiet", "--python", str(python), "--compile-bytecode"]
        _run([*install, requirement, "setuptools<81"])
        ready.touch()
    return python


def tool(name: str, package: str) -> None:
    """See to it that a program is on the path.

    :param name: the program.
    :param package: the name of its package in Debian.
    :raises UnavailableError: if it is not.
    """
    if shutil.which(name):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _run(["apt-get", "update", "-q"])
        _run(["apt-get", "install", "-y", "-q", "--no-install-recommends", package])
    if not shutil.which(name):
        raise UnavailableError(f"there is no {name} (Debian, Ubuntu: apt-get install {package})")


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UnavailableError(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")
