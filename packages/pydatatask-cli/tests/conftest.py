"""Fixtures of the command-line tests: a small pipeline, and the program that drives it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent / "support" / "words.py"


@dataclass
class Program:
    """A script with a pipeline, as a user runs it."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def script(self) -> Path:
        return self.folder / "main.py"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "COLUMNS": "120", "NO_COLOR": "1", **self.environ}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, str(self.script), *words]

    def start(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(*words), cwd=self.folder, env=self.environment, **options
        )

    def run(
        self, *words: str, stdin: bytes = b"", own: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the script, or without ``own`` the console program, through pipes."""
        command = [sys.executable, "-m", "pydatatask_cli", *words]
        done = subprocess.run(
            self.command(*words) if own else command,
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=50,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def output(self, *words: str, stdin: bytes = b"") -> str:
        """Run the script, check that it succeeds, and return its output."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refusal(self, *words: str, stdin: bytes = b"", own: bool = True, status: int = 1) -> str:
        """Run the script, check that it fails with a single message, and return the message."""
        done = self.run(*words, stdin=stdin, own=own)
        assert done.returncode == status, done
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
        return done.stderr

    def put(self, place: str, text: str = "") -> Path:
        path = self.folder / "data" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def program(tmp_path: Path) -> Program:
    (tmp_path / "main.py").write_text(SCRIPT.read_text())
    return Program(tmp_path)
