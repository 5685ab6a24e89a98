"""What a case of the benchmark says about itself."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from .table import Table

__all__ = ["OURS", "PROGRAMS", "Case", "Contestant", "Figure", "Size", "Target", "program", "shell"]

OURS = "pydatatask"
"""The name of the contestant that every other is compared with."""

PROGRAMS = Path(__file__).resolve().parent.parent / "programs"


@dataclass(frozen=True)
class Size:
    """How much there is to do.

    :param items: how many items.
    :param at_once: how many of them are worked on at once, where that is given.
    """

    items: int
    at_once: int = 0

    def __str__(self) -> str:
        at_once = f", {self.at_once} at a time" if self.at_once else ""
        return f"{self.items:,}{at_once}"


@dataclass(frozen=True)
class Figure:
    """Something that is measured.

    :param key: its name in what a program prints; ``seconds`` is the whole process where the
        program prints nothing of that name, ``peak`` the most memory of it or of any child.
    :param title: the head of its column, with the unit.
    :param scale: what to multiply by for that unit.
    :param digits: how many digits behind the point are shown.
    """

    key: str
    title: str
    scale: float = 1.0
    digits: int = 3


SECONDS = Figure("seconds", "seconds")
PEAK = Figure("peak", "peak MiB", 2.0**-20, 0)


@dataclass(frozen=True)
class Contestant:
    """One of those that do the same work.

    :param name: who it is.
    :param command: gives the command for a size, run in a folder of its own; ``{python}`` in it
        is the Python of its environment.
    :param peer: whose environment it needs, of ``harness.peers``; ours by default.
    :param tool: the program it needs on the path, with Debian's name of the package.
    :param most: the largest number of items it is asked for, since more take too long.
    :param most_in_turn: the same for each of those that it works on at once.
    :param before: gives a command that is run before, and not measured.
    """

    name: str
    command: Callable[[Size], Sequence[str]]
    peer: str | None = None
    tool: tuple[str, str] | None = None
    most: int | None = None
    most_in_turn: int | None = None
    before: Callable[[Size], Sequence[str]] | None = None

    def takes_too_long(self, size: Size) -> bool:
        """Tell whether it is not asked for a size."""
        in_turn = size.items / max(size.at_once, 1)
        return (self.most is not None and size.items > self.most) or (
            self.most_in_turn is not None and in_turn > self.most_in_turn
        )


@dataclass(frozen=True)
class Target:
    """What is aimed at, and how far from it we are.

    :param title: what is aimed at, in words.
    :param value: gives what was measured, or None if it was not.
    :param most: the largest value that meets it.
    :param least: the smallest value that meets it.
    """

    title: str
    value: Callable[[Table], float | None]
    most: float | None = None
    least: float | None = None

    def met(self, value: float) -> bool:
        """Tell whether a value meets the target."""
        return (self.most is None or value <= self.most) and (
            self.least is None or value >= self.least
        )


def _no_service() -> AbstractContextManager[Mapping[str, str]]:
    return nullcontext({})


@dataclass(frozen=True)
class Case:
    """A piece of work, and who does it.

    :param name: what it is asked for by.
    :param title: what is done, in words.
    :param contestants: who does it, ours first.
    :param sizes: how much of it.
    :param quick: how much of it when there is little time.
    :param figures: what is measured; the first is what the ratio is of.
    :param targets: what is aimed at.
    :param note: what a reader has to know.
    :param rounds: how often each does it, in turn.
    :param prepare: makes in a folder what the work begins with; not measured.
    :param shared: whether that folder serves all of them, since none leaves another state behind.
    :param service: runs what they need for one size, and gives the variables that tell of it.
    """

    name: str
    title: str
    contestants: Sequence[Contestant]
    sizes: Sequence[Size]
    quick: Sequence[Size]
    figures: Sequence[Figure] = (SECONDS, PEAK)
    targets: Sequence[Target] = ()
    note: str = ""
    rounds: int = 5
    prepare: Callable[[Path, Size], None] | None = None
    shared: bool = False
    service: Callable[[], AbstractContextManager[Mapping[str, str]]] = _no_service


def program(name: str, *arguments: str) -> Callable[[Size], list[str]]:
    """Give the command that runs one of our programs with a size, and with whatever else.

    :param name: the program's file, without its suffix.
    :param arguments: what it is told besides the size.
    """

    def command(size: Size) -> list[str]:
        told = [str(size.items), *([str(size.at_once)] if size.at_once else [])]
        return ["{python}", str(PROGRAMS / f"{name}.py"), *told, *arguments]

    return command


def shell(text: str) -> Callable[[Size], list[str]]:
    """Give the command that runs a line of shell.

    :param text: the line; ``{items}``, ``{at_once}`` and ``{programs}`` in it are replaced.
    """

    def command(size: Size) -> list[str]:
        line = text.format(items=size.items, at_once=size.at_once, programs=PROGRAMS)
        return ["sh", "-c", line]

    return command
