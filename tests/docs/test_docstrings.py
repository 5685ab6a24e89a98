"""Docstrings describe only parameters that exist."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {
    ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): path
    for source in ROOT.glob("packages/*/src")
    for path in sorted(source.rglob("*.py"))
}
PARAMETER = re.compile(r":param (\w+):")


def described_parameters(node: ast.AST) -> set[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return set(PARAMETER.findall(ast.get_docstring(node) or ""))
    return set()


def parameters(module: str, node: ast.AST) -> set[str]:
    if isinstance(node, ast.ClassDef):  # its constructor may be inherited or generated
        return set(
            inspect.signature(getattr(importlib.import_module(module), node.name)).parameters
        )
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    return {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}


@pytest.mark.parametrize("module", SOURCES)
def test_every_parameter_that_a_docstring_describes_exists(module: str) -> None:
    wrong = [
        f"line {node.lineno}: {name}"  # type: ignore[attr-defined] # has a docstring
        for node in ast.walk(ast.parse(SOURCES[module].read_text(encoding="utf-8")))
        if (described := described_parameters(node))
        for name in described - parameters(module, node)
    ]
    assert wrong == []
