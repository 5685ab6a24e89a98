"""Reading what a helper tells of a run directory. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydatatask_core.proc_manager.protocol.status import Observation

from .answers import parsing
from .run_files import DIRECTORY_PROBLEMS, directory_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["parse_clock", "parse_memo", "parse_now", "parse_observation"]

_FRACTION = re.compile(r":\d\d(\.\d+)")


def parse_observation(lines: Iterable[str], path: str, boot_id: str) -> Observation:
    """Make of the lines that ``look`` tells what was seen.

    :param lines: the lines.
    :param path: the run directory.
    :param boot_id: the boot id of the machine.
    """
    observation = Observation(path, boot_id)
    for line in lines:
        kind, rest = line[:1], line[1:]
        if kind == "N":
            observation.exists = False
        elif kind == "P":
            observation.problem = directory_problem(path, DIRECTORY_PROBLEMS[rest])
        elif kind in "YR":
            observation.started = kind == "Y"
        elif kind == "S":
            observation.status = rest.encode("utf-8", "surrogateescape")
        elif kind == "L":
            observation.is_alive = True
        elif kind == "A":
            observation.uptime_seconds = float(rest)
        elif kind == "M":
            observation.status_mtime = _time(rest)
    if not observation.exists and observation.is_alive:
        observation.problem = f"its run directory {path!r} is gone"
    elif not observation.exists:
        observation.status = b""
    return observation


def parse_clock(lines: Iterable[str]) -> float | None:
    """Tell when the machine began to be up, in seconds since the epoch, as its clock has it now.

    :param lines: the lines that ``clock`` tells.
    """
    fields = {line[:1]: line[1:] for line in lines}
    try:
        return _time(fields["M"]) - float(fields["U"])
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
    match = _FRACTION.search(rest)
    return int(seconds) + (float(match[1]) if match else 0.0)
