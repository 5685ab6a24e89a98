"""Pages of the documentation as something that can be followed step by step.

A fenced block with a caption is a file of that name. A ``console`` block is what is typed after
``$`` and what is printed then. In what is printed, ``...`` stands for anything; how long something
took, when it was and how far a run was meanwhile is not compared. What pip is told to install has
to be something that there is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["EXECUTED", "Block", "blocks", "commands", "same", "without_progress"]

EXECUTED = frozenset({"console", "python"})

SHOWN = frozenset(
    {"diff", "dockerfile", "eval-rst", "jinja", "mermaid", "sh", "text", "toctree", "yaml"}
)
"""What is not run: pieces of files, and what only Sphinx reads. ``sh`` and ``yaml`` are files."""

_FENCE = re.compile(r"^(`{3,}|:{3,})(.*)$")
_PROGRESS = re.compile(r"^INFO: .* ready, .* failed\n", re.MULTILINE)
_CHANGING = (
    (re.compile(r"\d+\.\d s\b"), "0.1 s"),
    (re.compile(r"seconds=[\d.]+"), "seconds=0.1"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?"), "2026-01-02 03:04:05"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    :param language: what it is written in.
    :param caption: the file that it is, if it is one.
    :param lines: what is in it.
    :param line: the number of its first line in the page, counted from 1.
    """

    language: str
    caption: str | None
    lines: tuple[str, ...]
    line: int

    @property
    def text(self) -> str:
        """What is in it, as a text."""
        return "".join(f"{line}\n" for line in self.lines)


def blocks(page: Path) -> Iterator[Block]:
    """Take the fenced blocks out of a page.

    :param page: a file of MyST Markdown.
    :raises ValueError: if a language is neither run nor known as one that is not.
    """
    lines = page.read_text(encoding="utf-8").splitlines()
    at = 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        if not opening:
            at += 1
            continue
        end = at + 1
        while not lines[end].startswith(opening[1]) or lines[end].strip() != opening[1]:
            end += 1
        words = opening[2].split()
        directive = bool(words) and words[0].startswith("{")
        if words[:1] == ["{literalinclude}"]:
            caption = lines[at + 1].removeprefix(":caption: ")
            text = (page.parent / words[1]).read_text(encoding="utf-8")
            yield Block("text", caption, tuple(text.splitlines()), at + 1)
        if opening[1][0] == ":" or (directive and words[0] not in ("{code-block}", "{eval-rst}")):
            # An admonition, whose content is read like that of the page; or one for Sphinx alone.
            at = at + 1 if words[0] in ("{note}", "{tip}", "{warning}") else end + 1
            continue
        first, options = at + 1, {}
        while directive and (option := re.match(r":([\w-]+): ?(.*)", lines[first])):
            options[option[1]] = option[2]
            first += 1
        language = words[1] if words[:1] == ["{code-block}"] else words[0].strip("{}")
        if language not in EXECUTED | SHOWN:
            raise ValueError(f"{page}:{at + 1}: {language!r} is neither run nor known not to be")
        while directive and not lines[first].strip():
            first += 1
        body = tuple(lines[first:end])
        yield Block(language, options.get("caption"), body, first + 1)
        at = end + 1


def commands(block: Block) -> Iterator[tuple[int, str, str]]:
    """Give what is typed in a console, each with its line in the page and what is printed then.

    :param block: a block in the language ``console``.
    """
    lines = list(block.lines)
    while lines:
        number = block.line + len(block.lines) - len(lines)
        command = lines.pop(0)
        if not command.startswith("$ "):
            raise ValueError(f"line {number}: a console begins with `$ `, not with {command!r}")
        while command.endswith("\\"):
            command += "\n" + lines.pop(0)
        printed = ""
        while lines and not lines[0].startswith("$ "):
            printed += lines.pop(0) + "\n"
        yield number, command[2:], printed


def without_progress(printed: str) -> str:
    """Take out the lines that tell how far a run is.

    :param printed: what was printed.
    """
    return _PROGRESS.sub("", printed)


def same(shown: str, printed: str) -> bool:
    """Tell whether a page shows what was printed.

    :param shown: what stands in the page.
    :param printed: what was printed.
    """
    printed = without_progress(printed)
    for pattern, replacement in _CHANGING:
        shown, printed = pattern.sub(replacement, shown), pattern.sub(replacement, printed)
    pattern_of = ".*?".join(re.escape(part) for part in shown.split("..."))
    return re.fullmatch(pattern_of, printed, re.DOTALL) is not None
