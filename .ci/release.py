"""Release one package: its version, its changelog, its distributions, a commit and a tag.

Usage: release.py PACKAGE major|minor|patch|VERSION. The program changes only the local repository;
the last line of its output is the push command that publishes the release. If a step fails, all
changes are undone.
"""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from members import KINDS, Fragment, Member, Problem, git, read_members
from packaging.version import InvalidVersion, Version

STEPS = ("major", "minor", "patch")
DIST = Path("dist")


def step(version: Version, name: str) -> Version:
    """Return the next version after a step."""
    numbers = [version.major, version.minor, version.micro]
    place = STEPS.index(name)
    return Version(".".join(map(str, [*numbers[:place], numbers[place] + 1, *[0] * (2 - place)])))


def choose(member: Member, wanted: str, fragments: list[Fragment]) -> Version:
    """Return the version to release.

    :raises Problem: if the version is not valid, exists already, or is too low for the fragments.
    """
    released = member.released()
    last = released[-1] if released else None
    try:
        version = step(last or member.version, wanted) if wanted in STEPS else Version(wanted)
    except InvalidVersion:
        raise Problem(f"{wanted!r} is not a version, nor one of {', '.join(STEPS)}") from None
    if str(version) != wanted and wanted not in STEPS:
        raise Problem(f"write the version {wanted} as {version}")
    if version in released:
        raise Problem(f"the tag {member.tag(version)} exists already: choose a higher version")
    if last is None:
        if version < member.version:
            raise Problem(
                f"{member.name} has version {member.version}, {version} is lower: "
                "choose a higher one"
            )
        return version
    least = min((KINDS[each.kind][1] for each in fragments), key=STEPS.index)
    if version < step(last, least):
        culprit = next(each for each in fragments if KINDS[each.kind][1] == least)
        raise Problem(
            f"{version} is too low after {last}: {culprit.path} requires a {least} release, "
            f"{step(last, least)}"
        )
    return version


def check_ranges(members: dict[str, Member], member: Member, version: Version) -> None:
    """Check a version against the ranges of other packages, and its own ranges against theirs.

    :raises Problem: if a range does not contain the version.
    """
    for other in members.values():
        for needed in other.ranges(member):
            if not needed.specifier.contains(version, prereleases=True):
                raise Problem(
                    f"{other.name} declares {needed}, which excludes {version}: widen it in "
                    f"{other.folder / 'pyproject.toml'} first, with a fragment"
                )
        for needed in member.ranges(other):
            if other is not member and not needed.specifier.contains(other.version, True):
                raise Problem(
                    f"{member.name} declares {needed}, but {other.name} has {other.version}: "
                    f"widen it in {member.folder / 'pyproject.toml'} first"
                )
            if other is not member and not any(map(needed.specifier.contains, other.released())):
                print(f"note: no {needed} was released yet; publish {other.name} before this")


def write_version(member: Member, version: Version) -> None:
    """Write a version into a package's metadata."""
    path = member.folder / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    line = f'version = "{member.version}"\n'
    if text.count(line) != 1:
        raise Problem(f"{path} must contain this line exactly once: {line.strip()}")
    path.write_text(text.replace(line, f'version = "{version}"\n'), encoding="utf-8")


def section(version: Version, fragments: list[Fragment]) -> str:
    """Return the section of a changelog for fragments."""
    parts = [f"## {version} ({datetime.datetime.now(datetime.UTC).date()})"]
    for kind, (heading, _) in KINDS.items():
        entries = [each.text.replace("\n", "\n  ") for each in fragments if each.kind == kind]
        if entries and heading:
            parts += [f"### {heading}", "\n".join(f"- {entry}" for entry in entries)]
    if len(parts) == 1:
        parts.append("No changes for users.")
    return re.sub(r"[ \t]+$", "", "\n\n".join(parts), flags=re.MULTILINE) + "\n"


def write_changelog(member: Member, new: str) -> None:
    """Insert a section into a package's changelog, below its title and introduction."""
    path = member.folder / "CHANGELOG.md"
    text = path.read_text(encoding="utf-8")
    if "(unreleased)" in text:
        raise Problem(f"{path} has an unreleased section: move it into fragments in changes/")
    head, mark, older = text.partition("\n## ")
    path.write_text(f"{head.rstrip()}\n\n{new}{mark}{older}", encoding="utf-8")


def build(member: Member, version: Version, folder: Path) -> list[Path]:
    """Build a package's sdist, and its wheel from the sdist, and return both paths.

    :raises Problem: if the build fails, or a distribution is missing or incomplete.
    """
    command = ["uv", "build", "--quiet", "--out-dir", str(folder), str(member.folder)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise Problem(f"{member.name} does not build:\n{ran.stderr.strip()}")
    stem = f"{member.name.replace('-', '_')}-{version}"
    built = [folder / f"{stem}.tar.gz", folder / f"{stem}-py3-none-any.whl"]
    for path in built:
        if not path.is_file():
            raise Problem(f"the build of {member.name} did not create {path}: check its version")
    start = f"{member.name.replace('-', '_')}/__init__.py"
    with ZipFile(built[-1]) as wheel:
        if start not in wheel.namelist():
            raise Problem(f"{built[-1]} does not contain {start}")
    return built


def release(member: Member, version: Version, fragments: list[Fragment]) -> list[Path]:
    """Write the version and the changelog, build, commit and tag; undo everything on failure."""
    notes = section(version, fragments)
    try:
        write_version(member, version)
        write_changelog(member, notes)
        git("rm", "--quiet", *(str(each.path) for each in fragments))
        built = build(member, version, DIST)
        git("add", str(member.folder))
        git("commit", "--quiet", "--message", f"Release {member.name} {version}")
    except BaseException:
        git("reset", "--quiet", "--hard")
        raise
    try:
        tag = member.tag(version)
        # Verbatim, because a line that begins with # is a heading here, not a comment.
        git("tag", "--annotate", "--cleanup=verbatim", tag, "--message", f"{tag}\n\n{notes}")
    except BaseException:
        git("reset", "--quiet", "--hard", "HEAD~1")
        raise
    return built


def main() -> None:
    """Release the package on the command line."""
    if len(sys.argv) != 3:  # noqa: PLR2004 - the program's name and two arguments
        sys.exit("usage: ./dev release PACKAGE major|minor|patch|VERSION")
    name, wanted = Path(sys.argv[1]).name, sys.argv[2]  # the path of the package is accepted, too
    try:
        members = read_members()
        if name not in members:
            raise Problem(f"unknown package {name!r}: use one of {', '.join(members)}")
        if dirty := git("status", "--porcelain"):
            raise Problem(f"commit or remove these changes first:\n{dirty}")
        member = members[name]
        fragments = member.fragments()
        if not fragments:
            raise Problem(f"nothing to release: {member.folder / 'changes'} has no fragment")
        version = choose(member, wanted, fragments)
        check_ranges(members, member, version)
        built = release(member, version, fragments)
    except Problem as problem:
        sys.exit(f"release: {problem}")
    print(git("show", "--stat", "--format=%h %s", "HEAD"))
    for path in built:
        print(f"built {path}")
    branch = git("branch", "--show-current") or "HEAD"
    print(f"tagged {member.tag(version)}; this publishes it:")
    print(f"  git push --atomic origin {branch} {member.tag(version)}")


if __name__ == "__main__":
    main()
