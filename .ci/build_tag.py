"""Build the package that a tag names, into a folder, if the checkout is what the tag promises.

Usage: build_tag.py TAG FOLDER. It is what publishing does with a tag that ``./dev release`` made.
"""

from __future__ import annotations

import sys
from pathlib import Path

from members import Member, Problem, read_members
from release import build


def named(tag: str) -> Member:
    """Find the package that a tag names, and see that it is ready to be published under it."""
    members = read_members()
    member = next((each for each in members.values() if tag == each.tag(each.version)), None)
    if member is None:
        tags = ", ".join(each.tag(each.version) for each in members.values())
        raise Problem(f"{tag} is not the version of any package here: {tags}")
    if left := member.fragments():
        raise Problem(f"{left[0].path} has not gone into the changelog")
    changelog = member.folder / "CHANGELOG.md"
    if f"\n## {member.version} (" not in changelog.read_text(encoding="utf-8"):
        raise Problem(f"{changelog} does not tell of {member.version}")
    return member


def main() -> None:
    """Build what the tag names."""
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
