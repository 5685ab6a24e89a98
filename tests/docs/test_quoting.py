"""No page, README, example or docstring shows a value in a template without its filter."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("docs/**/*.md", "packages/*/README.md", "README.md", ".github/*.md")
    for path in ROOT.glob(pattern)
    if "_build" not in path.parts
)
PROGRAMS = sorted(
    path
    for pattern in ("examples/**/*", "packages/*/src/**/*.py")
    for path in ROOT.glob(pattern)
    if path.suffix in (".py", ".sh", ".yaml", ".yml", ".j2")
)
SAFE = ("quote", "tojson", "raw")
_EXPRESSION = re.compile(r"\{\{(?!\{)-?(.*?)-?\}\}", re.DOTALL)
_SPAN = re.compile(r"(`+)(.+?)\1", re.DOTALL)
_BLOCK = re.compile(r"^ *(`{3,}).*?^ *\1`*$", re.DOTALL | re.MULTILINE)


def unfiltered(text: str) -> Iterator[str]:
    """Iterate the expressions of a text that print a value without a filter that protects it."""
    for found in _EXPRESSION.finditer(text):
        last = found[1].rpartition("|")[2].strip()
        if last not in SAFE and not re.fullmatch(r"join\(.*\)", last):
            yield found[0]


def spans(text: str) -> Iterator[str]:
    """Iterate the code within sentences, except what is an expression alone, which is no script."""
    for found in _SPAN.finditer(text):
        code = found[2].strip()
        if _EXPRESSION.fullmatch(code) is None:
            yield code


def templates(path: Path) -> Iterator[str]:
    """Iterate the texts of a file that may be templates."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from (found[0] for found in _BLOCK.finditer(text))
        yield from spans(_BLOCK.sub("", text))
    elif path.suffix == ".py":
        tree = ast.parse(text)
        parts = {id(part) for node in ast.walk(tree) for part in _parts_of_formatted(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if id(node) not in parts:
                    yield from _of_string(node.value)
    else:
        yield text


def _parts_of_formatted(node: ast.AST) -> list[ast.expr]:
    return node.values if isinstance(node, ast.JoinedStr) else []


def _of_string(text: str) -> Iterator[str]:
    """A docstring has code in double backticks and in blocks; any other string may be a template."""
    without = re.sub(r"``[^`]*``|`[^`\n]*`", "", text)
    yield without
    yield from spans(text)


@pytest.mark.parametrize("path", [*PAGES, *PROGRAMS], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_value_is_shown_with_the_filter_that_protects_it(path: Path) -> None:
    shown = [expression for text in templates(path) for expression in unfiltered(text)]
    assert not shown, f"write `| quote` in a script, `| tojson` in a manifest: {shown}"


def test_a_value_without_a_filter_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "The key `{{ a.items }}`, and `sort {{ b }}`.\n\n```python\nx = 'sort {{ c }} {{ d|quote }}'"
        "\n```\n",
        encoding="utf-8",
    )
    program = tmp_path / "main.py"
    program.write_text('"""Use ``cat {{ e }}``, or::\n\n    cat {{ f }}\n"""\n', encoding="utf-8")
    shown = [each for path in (page, program) for t in templates(path) for each in unfiltered(t)]
    assert sorted(shown) == ["{{ b }}", "{{ c }}", "{{ e }}", "{{ f }}"]
