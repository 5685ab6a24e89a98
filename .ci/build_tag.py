"""Build the package that a tag names into a folder, if the checkout matches the tag.

Usage: build_tag.py TAG FOLDER. Publishing runs it for a tag that ``./dev release`` created.
"""

from __future__ import annotations

import sys
from pathlib import Path

from members import Member, Problem, read_members
from release import build


def named(tag: str) -> Member:
    """Return the package that a tag names.

    :raises Problem: if no package has that version, or its changelog is not complete.
    """
    members = read_members()
    member = next((each for each in members.values() if tag == each.tag(each.version)), None)
    if member is None:
        tags = ", ".join(each.tag(each.version) for each in members.values())
        raise Problem(f"{tag} is not the version of any package here: {tags}")
    if left := member.fragments():
        raise Problem(f"{left[0].path} is not in the changelog yet: release again")
    changelog = member.folder / "CHANGELOG.md"
    if f"\n## {member.version} (" not in changelog.read_text(encoding="utf-8"):
        raise Problem(f"{changelog} has no section for {member.version}")
    return member


def main() -> None:
    """Build the package of the tag."""
    if len(sys.argv) != 3:  # noqa: PLR2004 - the program's name and two arguments
        sys.exit("usage: build_tag.py TAG FOLDER")
    try:
        member = named(sys.argv[1])
        built = build(member, member.version, Path(sys.argv[2]))
    except Problem as problem:
        sys.exit(f"build: {problem}")
    for path in built:
        print(f"built {path}")


if __name__ == "__main__":
    main()
