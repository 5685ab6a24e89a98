"""Release one package: its version, its changelog, its distributions, a commit and a tag.

Usage: release.py PACKAGE major|minor|patch|VERSION. Nothing leaves this machine: pushing the tag,
which the last line tells how to do, is what publishes. If anything is wrong, all is as before.
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
    """Give the next version by a step."""
    numbers = [version.major, version.minor, version.micro]
    place = STEPS.index(name)
    return Version(".".join(map(str, [*numbers[:place], numbers[place] + 1, *[0] * (2 - place)])))


def choose(member: Member, wanted: str, fragments: list[Fragment]) -> Version:
    """Work out which version to release, and refuse one that fragments or tags forbid."""
    released = member.released()
    last = released[-1] if released else None
    try:
        version = step(last or member.version, wanted) if wanted in STEPS else Version(wanted)
    except InvalidVersion:
        raise Problem(f"{wanted!r} is no version, nor one of {', '.join(STEPS)}") from None
    if str(version) != wanted and wanted not in STEPS:
        raise Problem(f"write the version {wanted} as {version}")
    if version in released:
        raise Problem(f"{member.tag(version)} is there already")
    if last is None:
        if version < member.version:
            raise Problem(f"{member.name} is at {member.version} already, {version} is lower")
        return version
    least = min((KINDS[each.kind][1] for each in fragments), key=STEPS.index)
    if version < step(last, least):
        culprit = next(each for each in fragments if KINDS[each.kind][1] == least)
        raise Problem(
            f"{version} is too low after {last}: {culprit.path} asks for a {least} release, "
            f"{step(last, least)}"
        )
    return version


def check_ranges(members: dict[str, Member], member: Member, version: Version) -> None:
    """Refuse a version that a sibling does not admit, or a package whose siblings do not fit."""
    for other in members.values():
        for needed in other.ranges(member):
            if not needed.specifier.contains(version, prereleases=True):
                raise Problem(
                    f"{other.name} declares {needed}, which does not admit {version}: widen it in "
                    f"{other.folder / 'pyproject.toml'} first, with a fragment"
                )
        for needed in member.ranges(other):
            if other is not member and not needed.specifier.contains(other.version, True):
                raise Problem(
                    f"{member.name} declares {needed}, and {other.name} is at {other.version}: "
                    f"widen it in {member.folder / 'pyproject.toml'} first"
                )
            if other is not member and not any(map(needed.specifier.contains, other.released())):
                print(f"note: no {needed} was released yet; publish {other.name} before this")


def write_version(member: Member, version: Version) -> None:
    """Put a version into a package's metadata."""
    path = member.folder / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    line = f'version = "{member.version}"\n'
    if text.count(line) != 1:
        raise Problem(f"{path} has to hold this line exactly once: {line.strip()}")
    path.write_text(text.replace(line, f'version = "{version}"\n'), encoding="utf-8")


def section(version: Version, fragments: list[Fragment]) -> str:
    """Write a changelog's section from fragments."""
    parts = [f"## {version} ({datetime.datetime.now(datetime.UTC).date()})"]
    for kind, (heading, _) in KINDS.items():
        entries = [each.text.replace("\n", "\n  ") for each in fragments if each.kind == kind]
        if entries and heading:
            parts += [f"### {heading}", "\n".join(f"- {entry}" for entry in entries)]
    if len(parts) == 1:
        parts.append("Nothing that users see.")
    return re.sub(r"[ \t]+$", "", "\n\n".join(parts), flags=re.MULTILINE) + "\n"


def write_changelog(member: Member, new: str) -> None:
    """Put a section on top of a package's changelog, below its title and introduction."""
    path = member.folder / "CHANGELOG.md"
    text = path.read_text(encoding="utf-8")
    if "(unreleased)" in text:
        raise Problem(f"{path} has an unreleased section: make fragments of it in changes/")
    head, mark, older = text.partition("\n## ")
    path.write_text(f"{head.rstrip()}\n\n{new}{mark}{older}", encoding="utf-8")


def build(member: Member, version: Version, folder: Path) -> list[Path]:
    """Build a package's sdist, and its wheel from that, and see that they have the version."""
    command = ["uv", "build", "--quiet", "--out-dir", str(folder), str(member.folder)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise Problem(f"{member.name} does not build:\n{ran.stderr.strip()}")
    stem = f"{member.name.replace('-', '_')}-{version}"
    built = [folder / f"{stem}.tar.gz", folder / f"{stem}-py3-none-any.whl"]
    for path in built:
        if not path.is_file():
            raise Problem(f"{member.name} builds, but not {path}")
    start = f"{member.name.replace('-', '_')}/__init__.py"
    with ZipFile(built[-1]) as wheel:
        if start not in wheel.namelist():
            raise Problem(f"{built[-1]} holds no {start}")
    return built


def release(member: Member, version: Version, fragments: list[Fragment]) -> list[Path]:
    """Write, build, commit and tag; whatever fails undoes what was done before it."""
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
        # As it stands: a line that begins with # is a heading here, not a comment.
        git("tag", "--annotate", "--cleanup=verbatim", tag, "--message", f"{tag}\n\n{notes}")
    except BaseException:
        git("reset", "--quiet", "--hard", "HEAD~1")
        raise
    return built


def main() -> None:
    """Release what was asked for."""
    if len(sys.argv) != 3:  # noqa: PLR2004 - the program's name and two arguments
        sys.exit("usage: ./dev release PACKAGE major|minor|patch|VERSION")
    name, wanted = Path(sys.argv[1]).name, sys.argv[2]  # the package's folder will do as well
    try:
        members = read_members()
        if name not in members:
            raise Problem(f"there is no package {name!r}: one of {', '.join(members)}")
        if dirty := git("status", "--porcelain"):
            raise Problem(f"commit or remove what is not committed first:\n{dirty}")
        member = members[name]
        fragments = member.fragments()
        if not fragments:
            raise Problem(f"nothing to release: {member.folder / 'changes'} holds no fragment")
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
