"""Imports of the harness and of the programs, which are no packages of the environment."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(BENCHMARKS)
    for name in ("case", "measure", "reaper", "report", "table"):
        importlib.import_module(f"harness.{name}")
    yield sys.modules["harness"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "harness"]:
        del sys.modules[name]


@pytest.fixture
def watch_memory(harness: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(BENCHMARKS / "programs")
    yield importlib.import_module("watch_memory")
    del sys.modules["watch_memory"]
