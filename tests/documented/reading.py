"""Parsing of the documented names from the files beside this one."""

from __future__ import annotations

import ast
from abc import ABC
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

import pydatatask

__all__ = ["Class", "Function", "classes", "constants", "functions"]

# Names from elsewhere that occur in defaults and bases.
KNOWN: dict[str, Any] = {
    kind.__name__: kind for kind in (ABC, AbstractAsyncContextManager, Decimal, Enum, timedelta)
} | {"Protocol": Protocol, "pydatatask": pydatatask}
Definition = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Class:
    """A documented class; its members are among the functions and constants."""

    module: str
    name: str
    bases: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Function:
    """A documented function, method or property.

    Parameters map to the source text of their defaults, or None without a default.
    """

    module: str
    name: str
    parameters: dict[str, str | None]
    marks: frozenset[str]

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


def tree(path: Path) -> list[ast.stmt]:
    """Parse one of the files."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path)).body


FILES = {path.stem: tree(path) for path in sorted(Path(__file__).parent.glob("*.api"))}


def function(module: str, owner: str, node: Definition) -> Function:
    """Return the description of a definition."""
    arguments = node.args
    given = [each.arg for each in arguments.args]
    defaults: list[ast.expr | None] = [*arguments.defaults]
    defaults[:0] = [None] * (len(given) - len(defaults))
    parameters = dict(zip(given, defaults, strict=True))
    parameters |= {
        each.arg: default
        for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    }
    marks = {ast.unparse(each) for each in node.decorator_list}
    if isinstance(node, ast.AsyncFunctionDef):
        marks.add("async")
    if owner and "staticmethod" not in marks:
        del parameters[given[0]]
    if arguments.vararg and arguments.kwarg:
        marks.add("wraps")  # the parameters of the wrapped function come before its own
    written = {name: ast.unparse(each) if each else None for name, each in parameters.items()}
    return Function(module, f"{owner}{node.name}", written, frozenset(marks))


def classes() -> list[Class]:
    """Return the documented classes."""
    return [
        Class(module, node.name, tuple(map(ast.unparse, node.bases)))
        for module, body in FILES.items()
        for node in body
        if isinstance(node, ast.ClassDef)
    ]


def scopes() -> list[tuple[str, str, list[ast.stmt]]]:
    """Return each module and class with its body."""
    found = [(module, "", body) for module, body in FILES.items()]
    for module, body in FILES.items():
        found += [(module, f"{n.name}.", n.body) for n in body if isinstance(n, ast.ClassDef)]
    return found


def functions() -> list[Function]:
    """Return the documented functions, methods and properties."""
    return [
        function(module, owner, node)
        for module, owner, body in scopes()
        for node in body
        if isinstance(node, Definition)
    ]


def constants() -> list[tuple[str, str, str]]:
    """Return the documented attributes with values: module, name, source text of the value."""
    return [
        (module, owner + ast.unparse(node.targets[0]), ast.unparse(node.value))
        for module, owner, body in scopes()
        for node in body
        if isinstance(node, ast.Assign)
    ]
