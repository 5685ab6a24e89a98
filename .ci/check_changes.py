"""Check that each package that changed since its last release has a changelog fragment.

Usage: check_changes.py. A package that was never released needs a fragment as well. The check
requires the tags of the repository, which a shallow clone does not have.
"""

from __future__ import annotations

import sys

from members import Member, Problem, read_members


def missing(member: Member) -> str:
    """Return the problem of a package, or an empty string."""
    if "(unreleased)" in (member.folder / "CHANGELOG.md").read_text(encoding="utf-8"):
        return f"{member.name} has an unreleased section in its CHANGELOG.md"
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
        print(f"{each}: describe the change for users in packages/{name}/changes/ISSUE.KIND.md")
    if not problems:
        print(f"{len(members)} packages: every change since a release has a fragment")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
