"""Check the direction of imports, between the packages and inside the core.

Usage: check_imports.py [LINT-IMPORTS ARGUMENT...]

The packages and their dependencies are read from packages/*/pyproject.toml, so that a new package
is checked without being named here. The layers of the core are in pyproject.toml.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from members import read_members
from packaging.utils import canonicalize_name

META, CORE = "pydatatask", "pydatatask_core"


def contracts() -> list[dict[str, Any]]:
    """Return the contracts that follow from the packages and their declared dependencies."""
    members = {name.replace("-", "_"): member for name, member in read_members().items()}
    siblings = [name for name in members if name not in (META, CORE)]
    users: dict[str, set[str]] = {}  # of each third-party distribution
    for module, member in members.items():
        for requirement in member.requirements:
            users.setdefault(canonicalize_name(requirement.name), set()).add(module)
    own = {member.name for member in members.values()}
    result: list[dict[str, Any]] = [
        {
            "name": "The meta-package imports all, siblings import the core and never each other",
            "type": "layers",
            "layers": [META, " | ".join(siblings), CORE],
        }
    ]
    for distribution in sorted(users.keys() - own):
        if CORE in users[distribution]:
            continue
        homes = sorted(users[distribution])
        result.append(
            {
                "name": f"{distribution} is imported by {', '.join(homes)} only",
                "type": "forbidden",
                "allow_indirect_imports": "true",
                "source_modules": [name for name in members if name not in homes],
                "forbidden_modules": modules(distribution),
            }
        )
    return result


def modules(distribution: str) -> list[str]:
    """Return the top-level modules that an installed distribution provides.

    :raises SystemExit: if it is not installed in this environment.
    """
    provided = sorted(
        module
        for module, distributions in packages_distributions().items()
        if module.isidentifier()
        and any(canonicalize_name(name) == distribution for name in distributions)
    )
    if not provided:
        sys.exit(f"{distribution} is not installed: its imports cannot be checked")
    return provided


def configuration() -> str:
    """Return the settings for import-linter: the core's from pyproject.toml, and ours."""
    settings = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["tool"]
    own: list[dict[str, Any]] = settings["importlinter"]["contracts"]
    roots = [name.replace("-", "_") for name in read_members()]
    lines = ["[importlinter]", *entry("root_packages", roots)]
    lines += entry("include_external_packages", "true")
    for number, contract in enumerate([*own, *contracts()]):
        lines.append(f"[importlinter:contract:{number}]")
        for key, value in contract.items():
            lines += entry(key, value)
    return "\n".join(lines)


def entry(key: str, value: object) -> list[str]:
    """Return the lines of one entry of an INI file; a list has one item per line."""
    if isinstance(value, list):
        return [f"{key} =", *(f"    {item}" for item in value)]
    return [f"{key} = {value}"]


def main() -> int:
    """Run import-linter with the derived settings."""
    with tempfile.NamedTemporaryFile("w", suffix=".ini", encoding="utf-8") as file:
        file.write(configuration())
        file.flush()
        command = [str(Path(sys.executable).with_name("lint-imports")), file.name]
        return subprocess.run([*command, *sys.argv[1:]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
