"""Reading what a helper tells of a run directory. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydatatask_core.proc_manager.judging import Seen

from .answers import parsing
from .run_files import DIRECTORY_PROBLEMS, directory_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["parse_clock", "parse_memo", "parse_now", "parse_sight"]

_FRACTION = re.compile(r":\d\d(\.\d+)")


def parse_sight(lines: Iterable[str], place: str, boot_id: str) -> Seen:
    """Make of the lines that ``look`` tells what was seen.

    :param lines: the lines.
    :param place: the run directory.
    :param boot_id: the boot id of the machine.
    """
    seen = Seen(place, boot_id)
    for line in lines:
        kind, rest = line[:1], line[1:]
        if kind == "N":
            seen.exists = False
        elif kind == "P":
            seen.problem = directory_problem(place, DIRECTORY_PROBLEMS[rest])
        elif kind in "YR":
            seen.begun = kind == "Y"
        elif kind == "S":
            seen.status = rest.encode("utf-8", "surrogateescape")
        elif kind == "L":
            seen.lives = True
        elif kind == "A":
            seen.uptime = float(rest)
        elif kind == "M":
            seen.written = _time(rest)
    if not seen.exists and seen.lives:
        seen.problem = f"its run directory {place!r} is gone"
    elif not seen.exists:
        seen.status = b""
    return seen


def parse_clock(lines: Iterable[str]) -> float | None:
    """Tell when the machine began to be up, in seconds since the epoch, as its clock has it now.

    :param lines: the lines that ``clock`` tells.
    """
    found = {line[:1]: line[1:] for line in lines}
    try:
        return _time(found["M"]) - float(found["U"])
    except (KeyError, ValueError):
        return None


def parse_now(lines: list[str]) -> float:
    """Return the time that ``now`` reports, in whole seconds since the epoch.

    :param lines: the lines.
    """
    with parsing("now", lines):
        return float(lines[0].removeprefix("T"))


def parse_memo(lines: Iterable[str]) -> str | None:
    """Return the content of a memo, or None if there is none.

    :param lines: the lines that ``memo`` tells, among others.
    """
    for line in lines:
        if line.startswith("C"):
            return line[1:].encode("utf-8", "surrogateescape").decode(errors="replace")
    return None


def _time(text: str) -> float:
    """Read a time: whole seconds, and the same for people, with the fraction if it is known."""
    seconds, _, rest = text.partition(" ")
    found = _FRACTION.search(rest)
    return int(seconds) + (float(found[1]) if found else 0.0)
