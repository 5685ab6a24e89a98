"""Check the types of everything, one mypy run for each set of files that may share module names.

Usage: check_types.py [MYPY ARGUMENT...]; with a path among the arguments, only that is checked.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def groups() -> list[list[Path]]:
    """List what to check: all sources at once, then each folder of tests or programs alone.

    Two packages may both have a ``tests/conftest.py`` and two examples a ``main.py``; mypy takes
    each of those for one module twice if it sees them together.
    """
    alone = [ROOT / "tests", ROOT / "benchmarks", ROOT / ".ci"]
    alone += sorted([*ROOT.glob("packages/*/tests"), *ROOT.glob("examples/*/")])
    sources = sorted(ROOT.glob("packages/*/src"))
    return [sources, *([folder] for folder in alone if any(folder.rglob("*.py")))]


def main() -> int:
    """Run mypy over every group and say which of them failed."""
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
        print("types do not fit in " + ", ".join(failed))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
