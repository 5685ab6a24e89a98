"""Parsing of documentation pages into steps that can be executed.

A fenced block with a caption is a file of that name. A ``console`` block contains commands, after
``$``, and their output. In the output, ``...`` stands for any text; durations, dates and lines of
progress are not compared. The arguments of ``pip install`` must be existing packages.
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
"""Languages that are not executed: excerpts of files, and directives that only Sphinx reads."""

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

    :param language: its language.
    :param caption: the name of the file, if the block is one.
    :param lines: its lines.
    :param line: the number of its first line in the page, counted from 1.
    """

    language: str
    caption: str | None
    lines: tuple[str, ...]
    line: int

    @property
    def text(self) -> str:
        """The content as one string."""
        return "".join(f"{line}\n" for line in self.lines)


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page.

    :param page: a file of MyST Markdown.
    :raises ValueError: if a language is neither in ``EXECUTED`` nor in ``SHOWN``.
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
            # The content of an admonition is parsed like the page; other directives are for Sphinx.
            at = at + 1 if words[0] in ("{note}", "{tip}", "{warning}") else end + 1
            continue
        first, options = at + 1, {}
        while directive and (option := re.match(r":([\w-]+): ?(.*)", lines[first])):
            options[option[1]] = option[2]
            first += 1
        language = words[1] if words[:1] == ["{code-block}"] else words[0].strip("{}")
        if language not in EXECUTED | SHOWN:
            raise ValueError(f"{page}:{at + 1}: unknown language {language!r}; add it to SHOWN")
        while directive and not lines[first].strip():
            first += 1
        body = tuple(lines[first:end])
        yield Block(language, options.get("caption"), body, first + 1)
        at = end + 1


def commands(block: Block) -> Iterator[tuple[int, str, str]]:
    """Yield the commands of a console, each with its line in the page and the output shown.

    :param block: a block in the language ``console``.
    """
    lines = list(block.lines)
    while lines:
        number = block.line + len(block.lines) - len(lines)
        command = lines.pop(0)
        if not command.startswith("$ "):
            raise ValueError(f"line {number}: a console must begin with `$ `, not with {command!r}")
        while command.endswith("\\"):
            command += "\n" + lines.pop(0)
        printed = ""
        while lines and not lines[0].startswith("$ "):
            printed += lines.pop(0) + "\n"
        yield number, command[2:], printed


def without_progress(printed: str) -> str:
    """Remove the lines that show the progress of a run.

    :param printed: the output.
    """
    return _PROGRESS.sub("", printed)


def same(shown: str, printed: str) -> bool:
    """Return whether the output in a page matches the actual one.

    :param shown: the output in the page.
    :param printed: the actual output.
    """
    printed = without_progress(printed)
    for pattern, replacement in _CHANGING:
        shown, printed = pattern.sub(replacement, shown), pattern.sub(replacement, printed)
    pattern_of = ".*?".join(re.escape(part) for part in shown.split("..."))
    return re.fullmatch(pattern_of, printed, re.DOTALL) is not None
