"""Modules whose names are listed in a stub and imported on first use."""

from __future__ import annotations

import importlib
import sys
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAZY = "from pydatatask_core.lazy import lazy_names\n__getattr__, __dir__ = lazy_names(globals())\n"
FILES = {
    "outer/__init__.py": LAZY,
    "outer/__init__.pyi": """
from decimal import Decimal as Decimal
from math import pi as pi
from missing_package import Client as Client

from . import inner as inner
from .inner import *
from .types import OnlyForTypes

typed: OnlyForTypes
""",
    "outer/inner.py": LAZY,
    "outer/inner.pyi": "from .deep import answer as answer\nfrom .deep import renamed as renamed\n",
    "outer/deep.py": "answer = 42\n",
    "outer/typed.py": "",
}


@pytest.fixture(params=["folder", "zip file"])
def outer(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Yield a lazy package, imported from a folder or from a zip file."""
    source = tmp_path / "source.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for name, text in FILES.items():
            archive.writestr(name, text)
    if request.param == "folder":
        zipfile.ZipFile(source).extractall(tmp_path)
        source = tmp_path
    monkeypatch.syspath_prepend(str(source))
    yield importlib.import_module("outer")
    for name in [name for name in sys.modules if name.partition(".")[0] == "outer"]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["OnlyForTypes", "unknown", "__wrapped__", "deep"])
def test_a_name_that_is_not_exported_by_the_stub_is_an_attribute_error(
    outer: Any, name: str
) -> None:
    with pytest.raises(AttributeError, match=f"'outer' has no attribute '{name}'"):
        getattr(outer, name)


def test_a_name_that_its_module_lacks_is_an_attribute_error_that_names_both(outer: Any) -> None:
    with pytest.raises(AttributeError, match=r"'outer\.deep' has no attribute 'renamed'"):
        _ = outer.renamed


def test_a_name_of_a_missing_package_is_not_exported_but_its_use_names_the_package(
    outer: Any,
) -> None:
    assert "Client" not in outer.__all__
    assert "Client" not in dir(outer)
    with pytest.raises(ModuleNotFoundError, match="missing_package"):
        _ = outer.Client


def test_a_package_exports_the_names_of_its_stub_and_shows_its_submodules_as_well(
    outer: Any,
) -> None:
    assert outer.__all__ == ["Decimal", "answer", "pi", "renamed"]
    shown = [name for name in dir(outer) if not name.startswith("__")]
    assert shown == sorted([*outer.__all__, "inner", "typed"])


def test_a_module_is_imported_when_one_of_its_names_is_used(outer: Any) -> None:
    assert outer.inner.__all__ == ["answer", "renamed"]
    assert outer.typed is sys.modules["outer.typed"]
    assert "outer.deep" not in sys.modules
    assert outer.answer == 42
    assert vars(outer)["answer"] == 42
