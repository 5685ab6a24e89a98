"""The packages of this repository: versions, ranges, tags, changelog fragments.

Everything is read from the checkout that is the current directory. The only requirements are
``packaging`` and git.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

__all__ = ["KINDS", "Fragment", "Member", "Problem", "git", "read_members"]

PACKAGES = Path("packages")
# The kinds of fragments: the heading in the changelog (None: not shown), and the smallest step of
# the version that the kind requires.
KINDS = {
    "breaking": ("Breaking", "major"),
    "added": ("Added", "minor"),
    "changed": ("Changed", "minor"),
    "fixed": ("Fixed", "patch"),
    "internal": (None, "patch"),
}


class Problem(Exception):
    """A problem that the user of the command has to fix; the message has the remedy."""


def git(*arguments: str) -> str:
    """Run git in the current directory and return its output.

    :raises Problem: if git fails, with its error message.
    """
    ran = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise Problem(f"git {arguments[0]} failed: {ran.stderr.strip() or ran.stdout.strip()}")
    return ran.stdout.strip()


def version_of(tag: str, start: str) -> Version:
    """Return the version in a tag, after its prefix."""
    try:
        return Version(tag.removeprefix(start))
    except InvalidVersion:
        raise Problem(f"the tag {tag} has no valid version: rename or delete it") from None


@dataclass(frozen=True)
class Fragment:
    """One change of one package, with its text for the changelog."""

    path: Path
    kind: str
    text: str

    @classmethod
    def read(cls, path: Path) -> Fragment:
        """Read a fragment.

        :raises Problem: if its name or content is not valid.
        """
        found = re.fullmatch(r"\d+(?:\.\d+)?\.([a-z]+)\.md", path.name)
        if found is None or found[1] not in KINDS:
            raise Problem(
                f"{path} is not a valid fragment: name it ISSUE.KIND.md or ISSUE.NUMBER.KIND.md, "
                f"where KIND is one of {', '.join(KINDS)}"
            )
        text = path.read_text(encoding="utf-8").strip()
        if not text:
            raise Problem(f"{path} is empty: describe the change for users of the package")
        return cls(path, found[1], text)


@dataclass(frozen=True)
class Member:
    """One package of ours."""

    folder: Path
    name: str
    version: Version
    requirements: tuple[Requirement, ...]

    @classmethod
    def read(cls, folder: Path) -> Member:
        """Read a package's metadata."""
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        declared = list(project.get("dependencies", []))
        for extra in project.get("optional-dependencies", {}).values():
            declared += extra
        name = canonicalize_name(project["name"])
        return cls(folder, name, Version(project["version"]), tuple(map(Requirement, declared)))

    def ranges(self, of: Member) -> list[Requirement]:
        """Return the requirements of this package for another one of ours, including extras."""
        return [each for each in self.requirements if canonicalize_name(each.name) == of.name]

    def tag(self, version: Version) -> str:
        """Return the tag of a version."""
        return f"{self.name}-v{version}"

    def released(self) -> list[Version]:
        """Return the tagged versions, oldest first."""
        start = f"{self.name}-v"
        tags = git("tag", "--list", f"{start}*").split()
        return sorted(version_of(tag, start) for tag in tags)

    def fragments(self) -> list[Fragment]:
        """Read the changes that are not released yet, in the order of their file names."""
        return [Fragment.read(path) for path in sorted((self.folder / "changes").glob("*"))]

    def changed_since(self, version: Version) -> list[str]:
        """Return the source files of this package that differ from a release."""
        places = [str(self.folder / "src"), str(self.folder / "pyproject.toml")]
        changed = git("diff", "--name-only", self.tag(version), "--", *places)
        added = git("ls-files", "--others", "--exclude-standard", "--", *places)
        return [*changed.split("\n"), *added.split("\n")] if changed or added else []


def read_members() -> dict[str, Member]:
    """Read all packages of the checkout that is the current directory."""
    folders = sorted(path.parent for path in PACKAGES.glob("*/pyproject.toml"))
    if not folders:
        raise Problem(f"no packages in {PACKAGES.resolve()}: run this in the root of the checkout")
    return {member.name: member for member in map(Member.read, folders)}
