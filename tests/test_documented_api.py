"""The names of the documentation of release 0.4.3 exist, with the same signatures.

Further parameters may only follow as keyword-only ones, or after the documented ones with a
default.
"""

from __future__ import annotations

import importlib
import inspect
from functools import cached_property
from typing import Any

import pytest
from documented.reading import KNOWN, Class, Function, classes, constants, functions

import pydatatask
from pydatatask_core.utils.call_log import is_coroutine_function

EMPTY = inspect.Parameter.empty


def find(module: str, path: str, *, static: bool = False) -> Any:
    """Return a documented object; with ``static`` without calling descriptors of its class."""
    found: Any = importlib.import_module(f"pydatatask.{module}")
    *owners, name = path.split(".")
    for owner in owners:
        found = getattr(found, owner)
    return inspect.getattr_static(found, name) if static else getattr(found, name)


def is_async(found: Any) -> bool:
    """Return whether the result of a call is awaited, or iterated with ``async for``."""
    if is_coroutine_function(found) or inspect.isasyncgenfunction(found):
        return True
    returned: str = found.__annotations__["return"]
    return returned.startswith(("AsyncGenerator[", "AsyncIterator["))


def check(found: list[inspect.Parameter], documented: Function) -> None:
    """Check that parameters match the documented ones."""
    given = [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    expected = {
        name: EMPTY if default is None else eval(default, dict(KNOWN))
        for name, default in documented.parameters.items()
    }
    if "wraps" in documented.marks:
        ours = {p.name: p.default for p in given}
        assert {name: ours.get(name) for name in expected} == expected
        return
    assert [p.name for p in given[: len(expected)]] == list(expected)
    for parameter in given[: len(expected)]:
        assert parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        assert parameter.default == expected[parameter.name], parameter.name
    for parameter in given[len(expected) :]:
        assert parameter.default is not EMPTY


@pytest.mark.parametrize("documented", classes(), ids=str)
def test_a_documented_class_has_its_bases_and_is_exported(documented: Class) -> None:
    found = find(documented.module, documented.name)

    assert getattr(pydatatask, documented.name) is found
    for name in documented.bases:
        base = KNOWN[name] if name in KNOWN else getattr(pydatatask, name)
        assert base in found.__mro__


@pytest.mark.parametrize("documented", functions(), ids=str)
def test_a_documented_function_has_its_kind_and_signature(documented: Function) -> None:
    marks = documented.marks
    static = find(documented.module, documented.name, static="." in documented.name)
    if "property" in marks:
        assert isinstance(static, property | cached_property)
        return
    if documented.name.endswith(".__init__"):
        kind = find(documented.module, documented.name.removesuffix(".__init__"))
        check(list(inspect.signature(kind).parameters.values()), documented)
        return

    found = find(documented.module, documented.name)
    parameters = list(inspect.signature(found).parameters.values())
    in_class = "." in documented.name and not marks & {"classmethod", "staticmethod"}
    check(parameters[in_class:], documented)
    assert is_async(found) == ("async" in marks)
    assert getattr(found, "__isabstractmethod__", False) == ("abstractmethod" in marks)
    for wrapper in (classmethod, staticmethod):
        assert isinstance(static, wrapper) == (wrapper.__name__ in marks)


@pytest.mark.parametrize(("module", "name", "value"), constants())
def test_a_documented_attribute_has_its_value(module: str, name: str, value: str) -> None:
    found = find(module, name)
    expected = eval(value, dict(KNOWN))

    assert getattr(found, "value", found) == expected


async def test_round_robin_works_as_documented() -> None:
    roundrobin = find("utils", "roundrobin")

    assert [x async for x in roundrobin("ABC", "D", "EF")] == list("ADEBFC")
