"""Install each built wheel alone, and with each of its extras, and see that it works.

Usage: check_wheels.py FOLDER. What a wheel declares of ours comes from the folder and must be
there; only third parties come from the package index. Every package that came is then imported, so
a wheel that forgets to declare something fails.
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

# Run inside the new environment: what came along, and whether every module of it can be imported.
# The conformance suites are for those who have pytest, which their extra brings.
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
                # What only an extra brings may be missing, and nothing else.
                if (error.name or "?").split(".")[0].lower() not in extras:
                    sys.exit(f"{module} cannot be imported: {type(error).__name__}: {error}")
            except Exception as error:
                # A library of the system, which no wheel brings.
                if "libfuse" not in str(error):
                    sys.exit(f"{module} cannot be imported: {type(error).__name__}: {error}")
        origin = json.loads(dist.read_text("direct_url.json") or "{}").get("url")
        typed = Path(sys.modules[package].__file__).with_name("py.typed").is_file()
        ours[name] = {"version": dist.version, "origin": origin, "typed": typed}
if "pydatatask" in ours:
    import pydatatask
    from pydatatask import *
    from pydatatask._documented import BACKENDS
    for extra, names in BACKENDS.items():
        for name in names:
            if hasattr(pydatatask, name) != ("pydatatask-" + extra in ours):
                sys.exit(f"pydatatask.{name} is there without its extra, or missing with it")
print(json.dumps(ours))
"""


@dataclass(frozen=True)
class Wheel:
    """A built wheel and what its metadata declare."""

    path: Path
    name: str
    version: str
    extras: tuple[str, ...]
    requirements: tuple[Requirement, ...]

    @classmethod
    def read(cls, path: Path) -> Wheel:
        """Read the metadata of the wheel at a path, and refuse contents that do not belong."""
        with ZipFile(path) as archive:
            names = archive.namelist()
            metadata_name = next(name for name in names if name.endswith(".dist-info/METADATA"))
            metadata = HeaderParser().parsestr(archive.read(metadata_name).decode())
        name = canonicalize_name(metadata["Name"])
        package = name.replace("-", "_") + "/"
        information = metadata_name.removesuffix("METADATA")
        if information + "licenses/LICENSE" not in names:
            sys.exit(f"{path.name} holds no licence")
        strays = [entry for entry in names if not entry.startswith((package, information))]
        if strays:
            sys.exit(f"{path.name} holds what is not its own: {strays}")
        return cls(
            path=path,
            name=name,
            version=metadata["Version"],
            extras=tuple(metadata.get_all("Provides-Extra", [])),
            requirements=tuple(map(Requirement, metadata.get_all("Requires-Dist", []))),
        )

    def siblings(self, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
        """List what this wheel declares of ours, with the extras that it asks for."""
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
    """Name all of ours that installing a wheel with some extras must bring, itself included."""
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
    """Install one wheel into an empty environment and return what is wrong, or nothing."""
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
            # In the empty folder, where no settings of ours are found.
            ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if ran.returncode:
                return ran.stderr.strip()
        came: dict[str, dict[str, str]] = json.loads(ran.stdout)
    if set(came) != expected:
        return f"brought {sorted(came)} instead of {sorted(expected)}"
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
    """Check every wheel of the folder, and that each member has one."""
    folder = Path(sys.argv[1]).resolve()
    wheels = {wheel.name: wheel for wheel in map(Wheel.read, sorted(folder.glob("*.whl")))}
    members = {path.parent.name for path in Path("packages").glob("*/pyproject.toml")}
    if set(wheels) != members:
        sys.exit(f"{folder} holds wheels of {sorted(wheels)}, not of {sorted(members)}")
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
