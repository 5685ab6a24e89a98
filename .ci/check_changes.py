"""Check that each package whose code changed since its last release says so in a fragment.

Usage: check_changes.py. A package that was never released has to have one as well. Tags have to be
there: a shallow clone has none.
"""

from __future__ import annotations

import sys

from members import Member, Problem, read_members


def missing(member: Member) -> str:
    """Say what is missing of a package, or nothing."""
    if "(unreleased)" in (member.folder / "CHANGELOG.md").read_text(encoding="utf-8"):
        return f"{member.name} tells in its CHANGELOG.md of what is not released"
    if member.fragments():
        return ""
    released = member.released()
    if not released:
        return f"{member.name} was never released and has no fragment"
    changed = [name for name in member.changed_since(released[-1]) if name]
    if not changed:
        return ""
    shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" if changed[3:] else "")
    return f"{member.name} changed since {released[-1]} ({shown}) and has no fragment"


def main() -> int:
    """Check every package."""
    try:
        members = read_members()
        problems = [problem for member in members.values() if (problem := missing(member))]
    except Problem as problem:
        sys.exit(f"changes: {problem}")
    for each in problems:
        name = each.partition(" ")[0]
        print(f"{each}: say what users get in packages/{name}/changes/ISSUE.KIND.md")
    if not problems:
        print(f"{len(members)} packages: what changed since a release is told by a fragment")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
