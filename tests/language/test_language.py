"""Sources, tests and documentation are written in plain technical English.

The limits are three times the highest rates of comparable projects: dramatiq, kopf, httpx, anyio,
procrastinate.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .counting import PHRASES, count, function_docstrings

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]

MAX_PER_10_000_WORDS = {
    "what ...": 20,
    "who, whoever": 4,
    "nobody, somebody": 1,
    "is to be": 3,
    "is none, is no ...": 20,
    "tell, told": 5,
    "anew": 1,
    "whatever": 1,
}
MAX_IN_SMALL_FOLDER = 2
"""Occurrences that are allowed in any case, since a rate says little about a few hundred words."""

NOT_FIRST_WORDS = """
    A An Forget Give Have How It Its Let Make Nobody Say Take Tell The What Whatever Where Whether
    Who Whoever
"""
"""First words that docstrings of functions avoid in favour of Return, Create, Check and others."""


def _folders() -> dict[str, list[Path]]:
    folders = {}
    for package in sorted((ROOT / "packages").iterdir()):
        folders[f"{package.name}: sources"] = sorted(package.glob("src/**/*.py"))
        folders[f"{package.name}: tests"] = sorted(package.glob("tests/**/*.py"))
        folders[f"{package.name}: pages"] = sorted(
            {*package.glob("*.md"), *package.glob("changes/*.md")}
        )
    folders["tests"] = _sources(ROOT / "tests")
    folders["benchmarks"] = sorted((ROOT / "benchmarks").glob("**/*.py"))
    folders["documentation"] = sorted(
        path for path in (ROOT / "docs").glob("**/*.md") if "_build" not in path.parts
    )
    folders["README, examples, contributing"] = sorted(
        {
            *ROOT.glob("*.md"),
            *ROOT.glob(".github/*.md"),
            *ROOT.glob("examples/**/*.py"),
            *ROOT.glob("examples/**/*.md"),
        }
    )
    return {name: paths for name, paths in folders.items() if paths}


def _sources(folder: Path) -> list[Path]:
    """Return the Python files of a folder, without those that have to name the phrases."""
    return [path for path in sorted(folder.glob("**/*.py")) if path.parent != Path(__file__).parent]


FOLDERS = _folders()


@pytest.mark.parametrize("folder", FOLDERS)
def test_phrases_that_readers_have_to_translate_are_rare(folder: str) -> None:
    result = count(FOLDERS[folder])

    problems = []
    for phrase in PHRASES:
        allowed = max(MAX_IN_SMALL_FOLDER, result.words * MAX_PER_10_000_WORDS[phrase] // 10_000)
        uses = result.of(phrase)
        if len(uses) > allowed:
            problems.append(f"{phrase}: {len(uses)} in {result.words} words, at most {allowed}")
            problems += [f"    {use}" for use in uses]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("folder", [name for name in FOLDERS if name.endswith("sources")])
def test_docstrings_of_functions_begin_with_an_imperative_of_the_field(folder: str) -> None:
    assert not list(_wrong_beginnings(FOLDERS[folder]))


def _wrong_beginnings(paths: Iterable[Path]) -> Iterable[str]:
    for path in paths:
        for line, name, first in function_docstrings(path):
            if first in NOT_FIRST_WORDS.split():
                yield f"{path}:{line}: {name} begins with {first}"


def test_each_phrase_is_found_in_every_kind_of_text(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        '"""Tell what is there."""\n\n\n'
        "def test_whoever_comes() -> None:\n"
        "    # nobody knows\n"
        '    raise ValueError("this is no good")\n'
    )
    page = tmp_path / "page.md"
    page.write_text("Somebody is to be told.\n\n```python\nwho = 1\n```\n\n`what` is code.\n")

    uses = count([module, page]).occurrences

    assert {(use.path.name, use.line, use.phrase) for use in uses} == {
        ("module.py", 1, "tell, told"),
        ("module.py", 1, "what ..."),
        ("module.py", 4, "who, whoever"),
        ("module.py", 5, "nobody, somebody"),
        ("module.py", 6, "is none, is no ..."),
        ("page.md", 1, "nobody, somebody"),
        ("page.md", 1, "is to be"),
        ("page.md", 1, "tell, told"),
    }
