"""Run the tests of every backend beside the lowest core that it declares, both as built wheels.

Usage: lowest.py [--released] [NAME [PYTEST ARGUMENT...]], NAME being the package's without
``pydatatask-``. The lowest core is the oldest release within the declared range, built from its
tag; before there is one, it is the core of this checkout. With ``--released``, packages that are
still at that are passed over, since ``./dev sibling`` has run the same tests beside the same code.

What is ours is installed from the wheels that were built here, never from a package index.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from members import Member, Problem, git, read_members

if TYPE_CHECKING:
    from packaging.version import Version

ORIGIN = """
import json
from importlib.metadata import distribution
core = distribution("pydatatask-core")
print(json.dumps([core.version, json.loads(core.read_text("direct_url.json") or "{}").get("url")]))
"""


def run(*command: str) -> str:
    """Run a command and return what it prints.

    :raises Problem: if it fails, with its own words.
    """
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise Problem(f"{' '.join(command[:3])} failed: {ran.stderr.strip()}")
    return ran.stdout


def lowest_core(core: Member, member: Member) -> Version | None:
    """Find the oldest released core that a package declares to work with, if one was released."""
    ranges = member.ranges(core)
    if not ranges:
        raise Problem(f"{member.name} does not declare {core.name}")
    fits = [v for v in core.released() if all(each.specifier.contains(v) for each in ranges)]
    if fits:
        return fits[0]
    if not all(each.specifier.contains(core.version, prereleases=True) for each in ranges):
        raise Problem(f"{member.name} declares {ranges[0]}: no such core was released, nor is here")
    return None


def build(member: Member, version: Version | None, folder: Path) -> Path:
    """Build a package's wheel, from the tag of a version or from the checkout as it is."""
    source = member.folder
    if version is not None:
        archive = folder / "source.tar"
        git("archive", f"--output={archive}", member.tag(version), str(member.folder))
        run("tar", "-xf", str(archive), "-C", str(folder))
        source = folder / member.folder
    run("uv", "build", "--quiet", "--wheel", "--out-dir", str(folder), str(source))
    (wheel,) = folder.glob(f"{member.name.replace('-', '_')}-{version or member.version}-*.whl")
    return wheel


def check(core: Member, member: Member, version: Version | None, arguments: list[str]) -> bool:
    """Make an environment of two wheels and run a package's tests in it."""
    environments = tomllib.loads(Path("hatch.toml").read_text(encoding="utf-8"))["envs"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheels = [build(core, version, folder), build(member, None, folder)]
        python = str(folder / "environment" / "bin" / "python")
        run("uv", "venv", "--quiet", "--python", sys.executable, str(folder / "environment"))
        wanted = [*map(str, wheels), *environments["core"]["dependencies"]]
        run("uv", "pip", "install", "--quiet", "--python", python, *wanted)
        expected = [str(version or core.version), wheels[0].as_uri()]
        if (found := json.loads(run(python, "-I", "-c", ORIGIN))) != expected:
            raise Problem(f"{core.name} {found} was installed instead of {expected}")
        print(f"{member.name} {member.version} beside {wheels[0].name}", flush=True)
        name = member.name.removeprefix("pydatatask-")
        command = [python, str(Path(".ci/test_alone.py")), name, *arguments]
        return subprocess.run(command, check=False).returncode == 0


def main() -> int:
    """Test what was asked for, or all that depends on the core and nothing else of ours."""
    arguments = sys.argv[1:]
    only_released = arguments[:1] == ["--released"]
    name, *rest = arguments[only_released:] or [""]
    failed = []
    try:
        members = read_members()
        core = members.pop("pydatatask-core")
        del members["pydatatask"]
        if name and f"pydatatask-{name}" not in members:
            raise Problem(f"there is no package {name!r}: one of {', '.join(members)}")
        for member in [members[f"pydatatask-{name}"]] if name else members.values():
            version = lowest_core(core, member)
            if only_released and version in (None, core.version):
                print(f"{member.name}: the lowest core that it declares is the one here")
            elif not check(core, member, version, rest):
                failed.append(member.name)
    except Problem as problem:
        sys.exit(f"lowest: {problem}")
    if failed:
        print(f"does not work beside the lowest core that it declares: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
