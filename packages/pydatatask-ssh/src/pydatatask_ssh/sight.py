"""Reading what a helper tells of a run directory. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydatatask_core.proc_manager.judging import Seen

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["parse_beginnings", "parse_clock", "parse_now", "parse_sight"]

_FRACTION = re.compile(r":\d\d(\.\d+)")


def parse_sight(lines: Iterable[str], place: str, boot_id: str) -> Seen:
    """Make of the lines that ``look`` tells what was seen.

    :param lines: the lines.
    :param place: the run directory.
    :param boot_id: the boot id of the machine.
    """
    seen = Seen(place, boot_id)
    text: list[str] = []
    for line in lines:
        kind, rest = line[:1], line[1:]
        if kind == "N":
            seen.exists = False
        elif kind in "YR":
            seen.begun = kind == "Y"
        elif kind == "S":
            text.append(f"{rest}\n")
        elif kind == "U":
            text.append(rest)
        elif kind == "L":
            seen.lives = True
        elif kind == "A":
            seen.uptime = float(rest)
        elif kind == "M":
            seen.written = _time(rest)
    seen.status = "".join(text).encode("utf-8", "surrogateescape")
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


def parse_now(lines: Iterable[str]) -> float:
    """Return the time that ``now`` reports, in whole seconds since the epoch.

    :param lines: the lines.
    """
    return float(next(line[1:] for line in lines if line.startswith("T")))


def parse_beginnings(lines: Iterable[str], files: Iterable[str]) -> dict[str, bytes]:
    """Give what those of some files begin with that exist.

    :param lines: the lines that ``begins`` tells, among others.
    :param files: the files that it was asked for.
    """
    found = zip(files, (line[1:] for line in lines if line.startswith("D")), strict=True)
    return {path: bytes.fromhex(text) for path, text in found if text != "-"}


def _time(text: str) -> float:
    """Read a time: whole seconds, and the same for people, with the fraction if it is known."""
    seconds, _, rest = text.partition(" ")
    found = _FRACTION.search(rest)
    return int(seconds) + (float(found[1]) if found else 0.0)
