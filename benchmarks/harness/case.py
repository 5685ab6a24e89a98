"""The definition of a case of the benchmark."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from .table import Table

__all__ = [
    "CPU",
    "OURS",
    "PEAK",
    "PROGRAMS",
    "SECONDS",
    "Case",
    "Contestant",
    "Figure",
    "Size",
    "Target",
    "program",
    "shell",
]

OURS = "pydatatask"
"""Name of the contestant to which all others are compared."""

PROGRAMS = Path(__file__).resolve().parent.parent / "programs"


@dataclass(frozen=True)
class Size:
    """An amount of work.

    :param items: the number of items.
    :param at_once: the number of items processed concurrently; 0 if unspecified.
    :param files_on: the type of the file system of the working directory, if the case depends on
        it.
    """

    items: int
    at_once: int = 0
    files_on: str = ""

    def __str__(self) -> str:
        at_once = f", {self.at_once} at a time" if self.at_once else ""
        files_on = f", {self.files_on}" if self.files_on else ""
        return f"{self.items:,}{at_once}{files_on}"


@dataclass(frozen=True)
class Figure:
    """A measured quantity.

    :param key: its name in the output of a program. Without a figure of that name in the output,
        ``seconds`` is the time of the whole process, ``cpu`` the processor time of the process and
        of all its descendants, and ``peak`` the memory of the largest of them.
    :param title: the title of its column, with the unit.
    :param scale: the factor that converts the value to that unit.
    :param digits: the number of decimal places.
    """

    key: str
    title: str
    scale: float = 1.0
    digits: int = 3


SECONDS = Figure("seconds", "seconds")
CPU = Figure("cpu", "processor time, s")
PEAK = Figure("peak", "peak MiB", 2.0**-20, 0)


@dataclass(frozen=True)
class Contestant:
    """A program that is compared with others.

    :param name: the name of the contestant.
    :param command: returns the command for a size, run in a folder of its own; ``{python}`` in it
        is replaced by the Python of its environment.
    :param peer: the environment that it needs, a key of ``harness.peers.PEERS``; None for ours.
    :param tool: the program that it needs on PATH, and the Debian package of that program.
    :param most: the maximum number of items, because more take too long.
    :param most_in_turn: the maximum number of items divided by the concurrency of the size.
    :param before: returns a command that runs before the measurement.
    """

    name: str
    command: Callable[[Size], Sequence[str]]
    peer: str | None = None
    tool: tuple[str, str] | None = None
    most: int | None = None
    most_in_turn: int | None = None
    before: Callable[[Size], Sequence[str]] | None = None

    def takes_too_long(self, size: Size) -> bool:
        """Return True if the contestant is too slow for a size."""
        in_turn = size.items / max(size.at_once, 1)
        return (self.most is not None and size.items > self.most) or (
            self.most_in_turn is not None and in_turn > self.most_in_turn
        )


@dataclass(frozen=True)
class Target:
    """A goal for a measured value.

    :param title: the description of the goal.
    :param value: returns the measured value, or None if it was not measured.
    :param most: the largest value that meets the target.
    :param least: the smallest value that meets the target.
    """

    title: str
    value: Callable[[Table], float | None]
    most: float | None = None
    least: float | None = None

    def met(self, value: float) -> bool:
        """Return True if a value meets the target."""
        return (self.most is None or value <= self.most) and (
            self.least is None or value >= self.least
        )


def _no_service() -> AbstractContextManager[Mapping[str, str]]:
    return nullcontext({})


@dataclass(frozen=True)
class Case:
    """A benchmark: some work, and the contestants that do it.

    :param name: the name of the case on the command line.
    :param title: the description of the work.
    :param contestants: the contestants, ours first.
    :param sizes: the sizes of the work.
    :param quick: the sizes for ``--quick``.
    :param figures: the measured quantities.
    :param compared: the number of figures, from the first, for which the report has a column of
        ratios.
    :param targets: the targets.
    :param note: an explanation for readers of the results.
    :param rounds: the number of measurements per contestant, in turns.
    :param prepare: creates the initial state in a folder; not measured.
    :param shared: whether all contestants use the same folder, because none of them changes it.
    :param file_systems: whether the result depends on the file system, so that the case is measured
        in each of the folders of the command line.
    :param service: runs the servers for one size, and yields environment variables that describe
        them.
    """

    name: str
    title: str
    contestants: Sequence[Contestant]
    sizes: Sequence[Size]
    quick: Sequence[Size]
    figures: Sequence[Figure] = (SECONDS, PEAK)
    compared: int = 1
    targets: Sequence[Target] = ()
    note: str = ""
    rounds: int = 5
    prepare: Callable[[Path, Size], None] | None = None
    shared: bool = False
    file_systems: bool = False
    service: Callable[[], AbstractContextManager[Mapping[str, str]]] = _no_service


def program(name: str, *arguments: str) -> Callable[[Size], list[str]]:
    """Return a function for the command that runs one of our programs with a size.

    :param name: the program's file name, without its suffix.
    :param arguments: the arguments after the size.
    """

    def command(size: Size) -> list[str]:
        told = [str(size.items), *([str(size.at_once)] if size.at_once else [])]
        return ["{python}", str(PROGRAMS / f"{name}.py"), *told, *arguments]

    return command


def shell(text: str) -> Callable[[Size], list[str]]:
    """Return a function for the command that runs a shell command line.

    :param text: the command line; ``{items}``, ``{at_once}`` and ``{programs}`` in it are replaced.
    """

    def command(size: Size) -> list[str]:
        line = text.format(items=size.items, at_once=size.at_once, programs=PROGRAMS)
        return ["sh", "-c", line]

    return command
