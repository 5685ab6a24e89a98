"""Check the types of all sources, with one mypy run for each set of files without name clashes.

Usage: check_types.py [MYPY ARGUMENT...]. If an argument is a path, only that path is checked.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def groups() -> list[list[Path]]:
    """Return the sets of paths to check: all sources, then each folder of tests or programs.

    Two packages may both have a ``tests/conftest.py`` and two examples a ``main.py``. In one run,
    mypy would treat them as the same module and report an error.
    """
    alone = [ROOT / "tests", ROOT / "benchmarks", ROOT / ".ci"]
    alone += sorted([*ROOT.glob("packages/*/tests"), *ROOT.glob("examples/*/")])
    sources = sorted(ROOT.glob("packages/*/src"))
    return [sources, *([folder] for folder in alone if any(folder.rglob("*.py")))]


def main() -> int:
    """Run mypy over every group and list the groups that failed."""
    arguments = sys.argv[1:]
    mypy = [sys.executable, "-m", "mypy", "--strict"]
    if any(Path(argument).exists() for argument in arguments):
        return subprocess.run([*mypy, *arguments], check=False).returncode
    failed = []
    for group in groups():
        name = "packages/*/src" if len(group) > 1 else str(group[0].relative_to(ROOT))
        print(f"{name}: ", end="", flush=True)
        if subprocess.run([*mypy, *arguments, *map(str, group)], check=False, cwd=ROOT).returncode:
            failed.append(name)
    if failed:
        print("mypy found errors in " + ", ".join(failed))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
