"""Install each built wheel alone, and with each of its extras, and import all of its modules.

Usage: check_wheels.py FOLDER. Our own packages are installed from the folder, which must contain
them; only third-party packages come from the package index. All modules of our installed packages
are then imported, so that a wheel with an undeclared dependency fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Runs inside the new environment: prints our installed packages, and imports all of their modules.
# The conformance suites need pytest, which their extra installs.
PROBE = """
import importlib, json, pkgutil, sys
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

def modules(package):
    yield package
    for found in pkgutil.iter_modules([str(Path(find_spec(package).origin).parent)], package + "."):
        if found.name.endswith(".__main__"):
            continue
        if found.name.endswith(".testing") and find_spec("pytest") is None:
            continue
        if found.ispkg:
            yield from modules(found.name)
        else:
            yield found.name

ours = {}
for dist in distributions():
    name = dist.name.lower().replace("_", "-")
    if name.split("-")[0] == "pydatatask":
        package = name.replace("-", "_")
        extras = " ".join(r for r in dist.requires or () if "extra ==" in r).lower()
        for module in modules(package):
            try:
                importlib.import_module(module)
            except ModuleNotFoundError as error:
                # Only dependencies of extras may be missing.
                if (error.name or "?").split(".")[0].lower() not in extras:
                    sys.exit(f"{module} cannot be imported: {type(error).__name__}: {error}")
            except Exception as error:
                # A library of the operating system, which no wheel installs.
                if "libfuse" not in str(error):
                    sys.exit(f"{module} cannot be imported: {type(error).__name__}: {error}")
        origin = json.loads(dist.read_text("direct_url.json") or "{}").get("url")
        typed = Path(sys.modules[package].__file__).with_name("py.typed").is_file()
        ours[name] = {"version": dist.version, "origin": origin, "typed": typed}
if "pydatatask" in ours:
    import pydatatask
    from pydatatask import *
    from pydatatask_core.lazy import read_stub
    for name, source in read_stub(vars(pydatatask)).items():
        installed = source == "." or source.replace("_", "-") in ours
        if hasattr(pydatatask, name) != installed:
            sys.exit(f"pydatatask.{name} is there without its extra, or missing with it")
print(json.dumps(ours))
"""


@dataclass(frozen=True)
class Wheel:
    """A built wheel and its metadata."""

    path: Path
    name: str
    version: str
    extras: tuple[str, ...]
    requirements: tuple[Requirement, ...]

    @classmethod
    def read(cls, path: Path) -> Wheel:
        """Read the metadata of the wheel at a path.

        Exit if the wheel has no licence, or files outside its own package.
        """
        with ZipFile(path) as archive:
            names = archive.namelist()
            metadata_name = next(name for name in names if name.endswith(".dist-info/METADATA"))
            metadata = HeaderParser().parsestr(archive.read(metadata_name).decode())
        name = canonicalize_name(metadata["Name"])
        package = name.replace("-", "_") + "/"
        information = metadata_name.removesuffix("METADATA")
        if information + "licenses/LICENSE" not in names:
            sys.exit(f"{path.name} has no licence file")
        strays = [entry for entry in names if not entry.startswith((package, information))]
        if strays:
            sys.exit(f"{path.name} has files outside its package: {strays}")
        return cls(
            path=path,
            name=name,
            version=metadata["Version"],
            extras=tuple(metadata.get_all("Provides-Extra", [])),
            requirements=tuple(map(Requirement, metadata.get_all("Requires-Dist", []))),
        )

    def siblings(self, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
        """Return our packages that this wheel requires, each with the extras that it requires."""
        return [
            (canonicalize_name(requirement.name), frozenset(requirement.extras))
            for requirement in self.requirements
            if canonicalize_name(requirement.name).split("-")[0] == "pydatatask"
            and (
                requirement.marker is None
                or any(requirement.marker.evaluate({"extra": extra}) for extra in extras | {""})
            )
        ]


def closure(wheels: dict[str, Wheel], name: str, extras: frozenset[str]) -> set[str]:
    """Return our packages that a wheel with some extras must install, including itself."""
    found: set[tuple[str, frozenset[str]]] = set()
    todo = [(name, extras)]
    while todo:
        item = todo.pop()
        if item in found:
            continue
        found.add(item)
        if item[0] not in wheels:
            sys.exit(f"{name} needs {item[0]}, of which no wheel was built")
        todo += wheels[item[0]].siblings(item[1])
    return {sibling for sibling, _ in found}


def check(wheels: dict[str, Wheel], name: str, extra: str | None) -> str:
    """Install one wheel into an empty environment and return the problem, or an empty string."""
    expected = closure(wheels, name, frozenset({extra} if extra else ()))
    with tempfile.TemporaryDirectory() as folder:
        python = f"{folder}/bin/python"
        chosen = f"{name}[{extra}]" if extra else name
        wanted = [f"{chosen} @ {wheels[name].path.as_uri()}"]
        wanted += [str(wheels[sibling].path) for sibling in expected - {name}]
        commands = [
            ["uv", "venv", "--quiet", "--python", sys.executable, folder],
            ["uv", "pip", "install", "--quiet", "--python", python, *wanted],
            ["uv", "pip", "check", "--quiet", "--python", python],
            [python, "-I", "-c", PROBE],
        ]
        for command in commands:
            # In the empty folder, so that uv and Python find no settings of this checkout.
            ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if ran.returncode:
                return ran.stderr.strip()
        came: dict[str, dict[str, str]] = json.loads(ran.stdout)
    if set(came) != expected:
        return f"installed {sorted(came)} instead of {sorted(expected)}"
    for sibling, facts in came.items():
        wheel = wheels[sibling]
        if facts["origin"] != wheel.path.as_uri():
            return f"{sibling} came from {facts['origin'] or 'the package index'}"
        if facts["version"] != wheel.version:
            return f"{sibling} has version {facts['version']} instead of {wheel.version}"
        if not facts["typed"]:
            return f"{sibling} has no py.typed"
    return ""


def main() -> int:
    """Check every wheel of the folder, and that each package has one."""
    folder = Path(sys.argv[1]).resolve()
    wheels = {wheel.name: wheel for wheel in map(Wheel.read, sorted(folder.glob("*.whl")))}
    members = {path.parent.name for path in Path("packages").glob("*/pyproject.toml")}
    if set(wheels) != members:
        sys.exit(f"{folder} has wheels of {sorted(wheels)}, not of {sorted(members)}")
    choices = [(name, extra) for name in wheels for extra in (None, *wheels[name].extras)]
    failures = 0
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        problems = executor.map(lambda choice: check(wheels, *choice), choices)
        for (name, extra), problem in zip(choices, problems, strict=True):
            failures += bool(problem)
            label = f"{name}[{extra}]" if extra else name
            version = wheels[name].version
            print(f"{label} {version}: {problem or 'installs and imports'}", flush=True)
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
