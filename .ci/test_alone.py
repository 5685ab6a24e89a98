"""Run the tests of one package in an environment that has only the package and the core.

Usage: test_alone.py NAME [PYTEST ARGUMENT...]; NAME is the name of a package without
``pydatatask-``. A package without tests is only imported.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def installed() -> set[str]:
    """Return the names of our distributions in this environment."""
    names = {dist.name.lower().replace("_", "-") for dist in distributions()}
    return {name for name in names if name == "pydatatask" or name.startswith("pydatatask-")}


def main() -> int:
    """Import the package, then run its tests if it has any."""
    name, *arguments = sys.argv[1:]
    expected = {"pydatatask-core", f"pydatatask-{name}"}
    if installed() != expected:
        sys.exit(f"this environment has {sorted(installed())} instead of {sorted(expected)}")
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
