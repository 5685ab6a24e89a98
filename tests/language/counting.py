"""Counts of turns of phrase in sources, tests and documentation."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["PHRASES", "Count", "Occurrence", "Passage", "count", "function_docstrings", "passages"]

Kind = Literal["docstring", "comment", "message", "test name", "page"]

PHRASES = {
    "what ...": re.compile(r"\bwhat\b(?! (if|about|it means))", re.IGNORECASE),
    "who, whoever": re.compile(r"\b(who|whoever|whom)\b", re.IGNORECASE),
    "nobody, somebody": re.compile(r"\b(nobody|somebody|anybody)\b", re.IGNORECASE),
    "is to be": re.compile(r"\b(is|are|was|be) to be\b"),
    "is none, is no ...": re.compile(r"\b(is|are|be) (none|no [a-z]+)\b"),
    "tell, told": re.compile(r"\b(tell|tells|told)\b", re.IGNORECASE),
    "anew": re.compile(r"\banew\b"),
    "whatever": re.compile(r"\b(whatever|whichever)\b", re.IGNORECASE),
}
"""Phrases that are rare in the texts of comparable projects."""

_WORD = re.compile(r"\b\w+\b")
_MESSAGE_MIN_WORDS = 3
_FENCE = re.compile(r"^( *)(`{3,}|~{3,}).*?^\1\2`* *$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")


@dataclass(frozen=True, slots=True)
class Passage:
    """A text that people read, with the line at which it begins."""

    path: Path
    line: int
    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One use of a phrase."""

    path: Path
    line: int
    phrase: str
    context: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.phrase}: {self.context}"


@dataclass(slots=True)
class Count:
    """The number of words of a set of files, and the uses of each phrase in them."""

    words: int = 0
    occurrences: list[Occurrence] = field(default_factory=list)

    def of(self, phrase: str) -> list[Occurrence]:
        """Return the uses of one phrase."""
        return [it for it in self.occurrences if it.phrase == phrase]


def count(files: Iterable[Path]) -> Count:
    """Count the words and the phrases of Python and Markdown files."""
    result = Count()
    for path in files:
        for passage in passages(path):
            result.words += len(_WORD.findall(passage.text))
            result.occurrences += _occurrences(passage)
    return result


def _occurrences(passage: Passage) -> Iterator[Occurrence]:
    for phrase, pattern in PHRASES.items():
        for match in pattern.finditer(passage.text):
            line = passage.line + passage.text.count("\n", 0, match.start())
            around = passage.text[max(0, match.start() - 30) : match.end() + 30]
            yield Occurrence(passage.path, line, phrase, " ".join(around.split()))


def passages(path: Path) -> Iterator[Passage]:
    """Yield the texts of a file.

    Of Markdown these are the prose without code in fences or backticks; of Python the docstrings,
    the comments, the names of tests, and the string literals of three or more words, which are
    taken for messages.
    """
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        blank = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), source)
        yield Passage(path, 1, "page", _CODE.sub("``", blank))
        return
    tree = ast.parse(source)
    docstrings = [docstring for _, docstring in _documented(tree)]
    for docstring in docstrings:
        yield Passage(path, docstring.lineno, "docstring", str(docstring.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("test_"):
                yield Passage(path, node.lineno, "test name", node.name.replace("_", " "))
        elif _is_message(node) and node not in docstrings:
            assert isinstance(node, ast.Constant)
            yield Passage(path, node.lineno, "message", str(node.value))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Passage(path, token.start[0], "comment", token.string.lstrip("# "))


def _is_message(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and len(node.value.split()) >= _MESSAGE_MIN_WORDS
    )


def function_docstrings(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the name and the first word of each docstring of a function.

    Properties are left out: theirs describe a value.
    """
    for node, docstring in _documented(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _is_property(node):
            words = str(docstring.value).split()
            yield docstring.lineno, node.name, words[0].strip(".,:`") if words else ""


def _is_property(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any("property" in ast.unparse(decorator) for decorator in function.decorator_list)


def _documented(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.Constant]]:
    """Yield each node that has a docstring, attributes included, with the docstring."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        for position, statement in enumerate(body):
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                continue
            if isinstance(statement.value.value, str):
                yield (node if position == 0 else body[position - 1]), statement.value
