"""Environments of the peers: one per peer, isolated from each other and from ours.

They are created outside of the checkout, in the folder in which ``./dev`` keeps its environments.
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
"""Requirement of each peer. Figures of other versions are not comparable."""


class UnavailableError(Exception):
    """A peer or a service is not available; the message contains the reason."""


def cache_folder() -> Path:
    """Return the folder of the environments."""
    home = os.environ.get("PYDATATASK_DEV_HOME")
    if not home:
        user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        home = str(Path(user) / "pydatatask-dev")
    return Path(home).resolve() / "benchmarks"


def python_of(peer: str | None) -> Path:
    """Return the Python of a peer's environment, which is created if it does not exist.

    :param peer: one of :data:`PEERS`, or None for ours.
    :raises UnavailableError: if the peer cannot be installed.
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
        print(f"creating the environment of {requirement}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        uv = [sys.executable, "-m", "uv"] if find_spec("uv") else ["uv"]
        _run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
        # setuptools: an undeclared dependency of some peers.
        install = [*uv, "pip", "install", "--quiet", "--python", str(python), "--compile-bytecode"]
        _run([*install, requirement, "setuptools<81"])
        ready.touch()
    return python


def tool(name: str, package: str) -> None:
    """Check that a program is on PATH; as root on Debian, install it if it is missing.

    :param name: the program.
    :param package: the Debian package that contains it.
    :raises UnavailableError: if the program is not available.
    """
    if shutil.which(name):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _run(["apt-get", "update", "-q"])
        _run(["apt-get", "install", "-y", "-q", "--no-install-recommends", package])
    if not shutil.which(name):
        raise UnavailableError(f"{name} is not on PATH (Debian, Ubuntu: apt-get install {package})")


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UnavailableError(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")
