"""Run the tests of one package where nothing else of ours is installed but the core.

Usage: test_alone.py NAME [PYTEST ARGUMENT...], NAME being the package's without ``pydatatask-``.
A package that has no tests yet is only imported.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def installed() -> set[str]:
    """Name the distributions of ours that this environment holds."""
    names = {dist.name.lower().replace("_", "-") for dist in distributions()}
    return {name for name in names if name == "pydatatask" or name.startswith("pydatatask-")}


def main() -> int:
    """Import the package, then run its tests if it has some."""
    name, *arguments = sys.argv[1:]
    expected = {"pydatatask-core", f"pydatatask-{name}"}
    if installed() != expected:
        sys.exit(f"this environment holds {sorted(installed())}, not just {sorted(expected)}")
    importlib.import_module(f"pydatatask_{name}")
    tests = ROOT / "packages" / f"pydatatask-{name}" / "tests"
    if not any(tests.rglob("test_*.py")):
        print(f"pydatatask-{name} imports alone; it has no tests yet", flush=True)
        return 0
    chosen = any(Path(argument.split("::")[0]).exists() for argument in arguments)
    where = [] if chosen else [str(tests)]
    pytest = [sys.executable, "-m", "pytest", "-n", "auto", *where, *arguments]
    return subprocess.run(pytest, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
