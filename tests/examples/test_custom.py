"""The example of a custom repository passes the conformance suite."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "custom"


def test_it_passes_the_conformance_suite(tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLE, tmp_path / "custom")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_its_class_has_fewer_than_fifty_lines() -> None:
    source = (EXAMPLE / "sqlite_repository.py").read_text(encoding="utf-8")
    (found,) = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))

    assert found.end_lineno is not None
    assert found.end_lineno - found.lineno + 1 < 50
