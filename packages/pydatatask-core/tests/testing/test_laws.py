"""The page of the laws names existing tests, and the tests name existing laws."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import pydatatask_core.testing
from pydatatask_core.repository import MetadataRepository

SUITES = Path(pydatatask_core.testing.__file__).parent
TESTS = Path(__file__).parents[1]
PAGE = (SUITES / "laws.md").read_text(encoding="utf-8")
LAWS = dict(re.findall(r"^- \*\*(\w+)\.\*\* (.*?)(?=^- |^#|\Z)", PAGE, re.MULTILINE | re.DOTALL))
NUMBERS = [
    f"{letter}{n}" for letter, last in (("R", 11), ("T", 9), ("P", 6)) for n in range(1, last + 1)
]
NOT_OFFERED = {"R11"}
"""Laws about an operation that does not exist yet."""

LINE = re.compile(r"^  - `([\w/]+\.py)`:((?:\s+`\w+`,?)+)$", re.MULTILINE)
NAMED = [
    (law, file, name)
    for law, text in LAWS.items()
    for file, names in LINE.findall(text)
    for name in re.findall(r"`(\w+)`", names)
]


@cache
def docstrings(path: Path) -> dict[str, str]:
    """Return the docstrings of the tests of a file, by name."""
    return {
        node.name: ast.get_docstring(node) or ""
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def laws_of(docstring: str) -> list[str]:
    """Return the numbers of laws with which a docstring begins."""
    numbers = re.match(r"((?:[RTP]\d+(?:, )?)+):", docstring)
    return numbers[1].split(", ") if numbers else []


def test_every_law_is_on_the_page_in_order() -> None:
    assert list(LAWS) == NUMBERS


@pytest.mark.parametrize("law", NUMBERS)
def test_a_law_is_one_sentence(law: str) -> None:
    sentence = " ".join(LAWS[law].partition("\n  - ")[0].split())
    assert sentence.endswith(".")
    assert ". " not in sentence


@pytest.mark.parametrize("law", [law for law in NUMBERS if law not in NOT_OFFERED])
def test_a_law_has_tests(law: str) -> None:
    assert [name for number, _, name in NAMED if number == law]
    assert LAWS[law].count("  - `") == len(LINE.findall(LAWS[law]))


def test_a_law_without_tests_is_about_a_missing_operation() -> None:
    assert not hasattr(MetadataRepository, "create"), "name the tests of R11 on the page"


@pytest.mark.parametrize(("law", "file", "name"), NAMED)
def test_a_test_on_the_page_exists_and_names_its_law(law: str, file: str, name: str) -> None:
    path = TESTS.parent / file if file.startswith("tests/") else SUITES / file
    assert name in docstrings(path), f"{path} has no {name}"
    assert law in laws_of(docstrings(path)[name])


@pytest.mark.parametrize("path", sorted(SUITES.rglob("*.py")), ids=lambda path: path.name)
def test_every_test_of_a_suite_names_laws_of_the_page(path: Path) -> None:
    for name, docstring in docstrings(path).items():
        if name.startswith("test_"):
            laws = laws_of(docstring)
            assert laws, f"{name} names no law"
            assert not set(laws) - LAWS.keys(), f"{name} names an unknown law"
