"""The page about the internals names existing files and functions, and all phases and flags."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "internals.md").read_text(encoding="utf-8")

REFERENCES = sorted(set(re.findall(r"`([\w/.-]+\.py)`:\s*`([\w.]+)`", TEXT)))
MEMBERS = sorted(set(re.findall(r"`(_?[A-Z]\w*\.\w+)`", TEXT)))
PATHS = sorted(set(re.findall(r"`([\w.-]*/[\w/.*-]+|[\w-]+\.(?:py|md|toml))`", TEXT)))
PLACEHOLDER = re.compile(r"[A-Z]{3,}(?!\.md)")

TRACKER = "pydatatask_core/task/detached/tracker.py"
PHASE = "pydatatask_core/task/detached/phase.py"
JOBS = {
    "TrackedJob": TRACKER,
    "ProcessJob": "pydatatask_core/task/process/job.py",
    "PodJob": "pydatatask_kube/jobs/job.py",
}


def sources() -> list[Path]:
    return sorted(ROOT.glob("packages/*/src/**/*.py"))


@cache
def tree(name: str) -> ast.Module:
    paths = list(ROOT.glob(f"packages/*/src/{name}"))
    assert len(paths) == 1, f"there is no {name} below packages/*/src"
    return ast.parse(paths[0].read_text(encoding="utf-8"))


def names_in(node: ast.AST) -> set[str]:
    """Return the names of the functions, classes and variables of a module or class."""
    names = set()
    for statement in getattr(node, "body", ()):
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(statement.name)
        elif isinstance(statement, ast.AnnAssign):
            names.add(ast.unparse(statement.target))
        elif isinstance(statement, ast.Assign):
            names.update(map(ast.unparse, statement.targets))
    return names


def attributes_in(class_: ast.ClassDef) -> set[str]:
    """Return the names of a class, and of the attributes that its methods set."""
    assigned = (
        node.attr
        for node in ast.walk(class_)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    )
    return names_in(class_) | set(assigned)


def fields_of(class_: str, file: str) -> list[str]:
    (node,) = (n for n in tree(file).body if isinstance(n, ast.ClassDef) and n.name == class_)
    return [ast.unparse(it.target) for it in node.body if isinstance(it, ast.AnnAssign)]


@cache
def members() -> dict[str, set[str]]:
    result: dict[str, set[str]] = {}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                result.setdefault(node.name, set()).update(attributes_in(node))
    return result


def test_the_page_has_references() -> None:
    assert len(REFERENCES) > 50
    assert PATHS


@pytest.mark.parametrize(("file", "name"), REFERENCES)
def test_a_function_that_the_page_names_is_in_its_file(file: str, name: str) -> None:
    scope: ast.AST = tree(file)
    for part in name.split("."):
        assert part in names_in(scope), f"{file} has no {name}"
        scope = next(
            (n for n in getattr(scope, "body", ()) if getattr(n, "name", None) == part), scope
        )


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_that_the_page_names_without_a_file_exists(name: str) -> None:
    class_, _, member = name.partition(".")

    assert member in members().get(class_, ()), f"no class {class_} has a member {member}"


@pytest.mark.parametrize("path", [path for path in PATHS if not PLACEHOLDER.search(path)])
def test_a_path_that_the_page_names_exists(path: str) -> None:
    candidates = [ROOT / path, ROOT / "packages" / path, *ROOT.glob(f"packages/*/src/{path}")]

    assert any(candidate.exists() for candidate in candidates), f"there is no {path}"


def test_every_phase_is_in_the_table_of_phases() -> None:
    (node,) = (n for n in tree(PHASE).body if isinstance(n, ast.ClassDef) and n.name == "Phase")

    missing = [phase for phase in names_in(node) if f"| `{phase}` |" not in TEXT]
    assert not missing


@pytest.mark.parametrize("class_", JOBS)
def test_every_flag_of_a_tracked_job_is_in_a_table(class_: str) -> None:
    rows = re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE)
    shown = {name for row in rows for name in re.findall(r"`(\w+)`", row)}

    assert not [field for field in fields_of(class_, JOBS[class_]) if field not in shown]
