"""Run the tests of every backend with the lowest core that it declares, both as built wheels.

Usage: lowest.py [--released] [NAME [PYTEST ARGUMENT...]]; NAME is the name of a package without
``pydatatask-``. The lowest core is the oldest release within the declared range, built from its
tag. If no core in the range was released, it is the core of this checkout. ``--released`` skips
packages whose lowest core is that of this checkout, because ``./dev sibling`` runs the same tests
with the same code.

Our packages are installed from the wheels built here, never from a package index.
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
    """Run a command and return its output.

    :raises Problem: if the command fails, with its standard error.
    """
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise Problem(f"{' '.join(command[:3])} failed: {ran.stderr.strip()}")
    return ran.stdout


def lowest_core(core: Member, member: Member) -> Version | None:
    """Return the oldest released core in the declared range; None if none was released.

    :raises Problem: if the package declares no core, or the range contains neither a release nor
        the core of this checkout.
    """
    ranges = member.ranges(core)
    if not ranges:
        raise Problem(f"{member.name} does not declare {core.name}")
    fits = [v for v in core.released() if all(each.specifier.contains(v) for each in ranges)]
    if fits:
        return fits[0]
    if not all(each.specifier.contains(core.version, prereleases=True) for each in ranges):
        raise Problem(
            f"{member.name} declares {ranges[0]}: no such core was released, and the core of this "
            f"checkout has version {core.version}"
        )
    return None


def build(member: Member, version: Version | None, folder: Path) -> Path:
    """Build a package's wheel, from the tag of a version or from the checkout."""
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
    """Create an environment with two wheels and run a package's tests in it."""
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
    """Test the package on the command line, or all packages except the core and `pydatatask`."""
    arguments = sys.argv[1:]
    only_released = arguments[:1] == ["--released"]
    name, *rest = arguments[only_released:] or [""]
    failed = []
    try:
        members = read_members()
        core = members.pop("pydatatask-core")
        del members["pydatatask"]
        if name and f"pydatatask-{name}" not in members:
            raise Problem(f"unknown package {name!r}: use one of {', '.join(members)}")
        for member in [members[f"pydatatask-{name}"]] if name else members.values():
            version = lowest_core(core, member)
            if only_released and version in (None, core.version):
                print(f"{member.name}: the lowest declared core is that of this checkout")
            elif not check(core, member, version, rest):
                failed.append(member.name)
    except Problem as problem:
        sys.exit(f"lowest: {problem}")
    if failed:
        print(f"tests failed with the lowest declared core: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
