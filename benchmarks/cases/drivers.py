"""The memory of a driver and of its supervisors, and launches by a driver with much memory."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from harness.case import OURS, PEAK, PROGRAMS, SECONDS, Case, Contestant, Figure, Size, Target

from .scripts import MAKE, files

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.table import Table

__all__ = ["LARGE_DRIVER", "MEMORY"]

_MIB = 2.0**-20
_MANY = Size(10_000, 8)
_SOME = Size(1_000, 8)
_LARGE = f"{OURS}, 2 GiB more"
_LARGE_MIB, _QUICK_MIB = 2_048, 64


def _watching(line: str) -> Callable[[Size], list[str]]:
    """Return a function for the command that measures the memory of a program.

    :param line: the arguments of ``watch_memory.py`` after the size; ``{items}``, ``{at_once}`` and
        ``{programs}`` in it are replaced.
    """

    def command(size: Size) -> list[str]:
        line_of_size = line.format(items=size.items, at_once=size.at_once, programs=PROGRAMS)
        watch = [str(PROGRAMS / "watch_memory.py"), str(size.items), str(size.at_once)]
        # `{{python}}` of the line is `{python}` now, which the harness replaces.
        return ["{python}", *watch, *shlex.split(line_of_size)]

    return command


def _memory_of(key: str) -> Callable[[Table], float | None]:
    def value(table: Table) -> float | None:
        memory = table.middle(_MANY, OURS, key)
        return None if memory is None else memory * _MIB

    return value


MEMORY = Case(
    "memory",
    "memory of a driver with the given number of scripts, and of its supervisors",
    note="The maximum of the driver during the run, and the memory of all other processes that the "
    "driver has started and that are no scripts, while the last scripts run. Memory is the "
    "proportional set size (PSS), in which a page that several processes share counts for each of "
    "them in part; the harness and its programs share pages with drivers that are run by the same "
    "Python. Seconds include the measurement.",
    contestants=[
        Contestant(
            OURS, _watching("--hold {{python}} {programs}/scripts_held.py {items} {at_once}")
        ),
        Contestant("make", _watching(MAKE), tool=("make", "make")),
        Contestant(
            "doit", _watching("{{python}} {programs}/scripts_doit.py {items} {at_once}"), "doit"
        ),
    ],
    sizes=[_MANY],
    quick=[Size(20, 8)],
    figures=[
        Figure("driver", "driver, MiB", _MIB, 1),
        Figure("supervisors", "supervisors, MiB", _MIB, 1),
        Figure("number", "number of supervisors", digits=0),
        SECONDS,
    ],
    targets=[
        Target(
            f"MiB of the driver, {_MANY}, at most 35",
            _memory_of("driver"),
            most=35,
        ),
        Target(
            f"MiB of all supervisors, {_MANY}, at most 25",
            _memory_of("supervisors"),
            most=25,
        ),
    ],
    prepare=files,
    rounds=3,
)


def _large(size: Size) -> list[str]:
    mib = _LARGE_MIB if size == _SOME else _QUICK_MIB
    return [*_small(size)[:-1], str(mib)]


def _small(size: Size) -> list[str]:
    script = str(PROGRAMS / "scripts_large_driver.py")
    return ["{python}", script, str(size.items), str(size.at_once), "0"]


LARGE_DRIVER = Case(
    "large-driver",
    "a small script for each file of a folder, by a driver with more resident memory",
    note="Seconds of the run alone, without the time to fill the memory. The additional memory is "
    "in pages of normal size, so that a fork of the driver would have to copy their page table.",
    contestants=[Contestant(OURS, _small), Contestant(_LARGE, _large)],
    sizes=[_SOME],
    quick=[Size(20, 8)],
    figures=[SECONDS, Figure("resident", "resident at the start, MiB", _MIB, 0), PEAK],
    targets=[
        Target(
            f"time with 2 GiB more memory relative to without, {_SOME}, at most 1.2",
            lambda table: table.middle_ratio(_SOME, _LARGE, "seconds"),
            most=1.2,
        )
    ],
    prepare=files,
    rounds=5,
)
