"""Parsing of the answers of a remote shell about run directories. Pure."""

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
    """Parse the answer to ``look``.

    :param lines: the parts of the answer.
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
            observation.parse_status(rest.encode("utf-8", "surrogateescape"))
        elif kind == "L":
            observation.is_alive = True
        elif kind == "A":
            observation.uptime_seconds = float(rest)
        elif kind == "M":
            observation.status_mtime = _time(rest)
    if not observation.exists and observation.is_alive:
        observation.problem = f"its run directory {path!r} is gone"
    elif not observation.exists:
        observation.parse_status(b"")
    return observation


def parse_clock(lines: Iterable[str]) -> float | None:
    """Return the time at which the machine was booted, by its present clock, as seconds since 1970.

    :param lines: the parts of the answer to ``clock``.
    """
    fields = {line[:1]: line[1:] for line in lines}
    try:
        return _time(fields["M"]) - float(fields["U"])
    except (KeyError, ValueError):
        return None


def parse_now(lines: list[str]) -> float:
    """Return the time that ``now`` reports, in whole seconds since the epoch.

    :param lines: the parts of the answer.
    """
    with parsing("now", lines):
        return float(lines[0].removeprefix("T"))


def parse_memo(lines: Iterable[str]) -> str | None:
    """Return the content of a note, or None if there is none.

    :param lines: the parts of an answer that may include one to ``memo``.
    """
    for line in lines:
        if line.startswith("C"):
            return line[1:].encode("utf-8", "surrogateescape").decode(errors="replace")
    return None


def _time(text: str) -> float:
    """Parse whole seconds followed by the same time in words, with its fraction if it is known."""
    seconds, _, rest = text.partition(" ")
    match = _FRACTION.search(rest)
    return int(seconds) + (float(match[1]) if match else 0.0)
