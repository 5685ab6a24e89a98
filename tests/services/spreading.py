"""How tests are spread over processes (pytest-xdist), so that they take as long as the longest."""

from __future__ import annotations

import os
from typing import Any

import pytest

__all__: list[str] = []

LONG = (
    "kubernetes",
    "pydatatask-kube",
    "pydatatask-ssh",
    "process",
    "pydatatask-cli",
    "executor",
    "examples",
    "docs",
)
"""Parts of the paths of tests that take minutes; they begin first, in this order."""

ONE_BY_ONE = {
    "tests/kubernetes/": "kubernetes",
    "tests/examples/test_kube.py": "kubernetes",
}
"""Where tests use something of which a machine has one, such as a cluster, and what that is."""


def _rank(item: pytest.Item) -> int:
    parts = item.path.parts
    return next((number for number, part in enumerate(LONG) if part in parts), len(LONG))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long."""
    items.sort(key=_rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Start a process more than there are processors, since many tests wait for something."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a process whole classes and modules, in the order in which they were collected."""
    from xdist.scheduler import (  # type: ignore[import-untyped]
        LoadScopeScheduling,
    )

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc] # which has no types
        def _split_scope(self, nodeid: str) -> str:
            shared = (what for place, what in ONE_BY_ONE.items() if nodeid.startswith(place))
            return next(shared, super()._split_scope(nodeid))

    config.option.loadscopereorder = False
    return Scheduling(config, log)
