"""Distribution of tests over pytest-xdist workers, which shortens the whole run."""

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
"""Path components of tests that take minutes; these tests start first, in this order."""

ONE_BY_ONE = {
    "tests/kubernetes/": "kubernetes",
    "tests/examples/test_kube.py": "kubernetes",
}
"""Resource of which a machine has only one, such as a cluster, by the path of tests that use it."""


def _rank(item: pytest.Item) -> int:
    parts = item.path.parts
    return next((number for number, part in enumerate(LONG) if part in parts), len(LONG))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the slowest tests to the front."""
    items.sort(key=_rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one worker more than there are processors, because many tests wait for I/O."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Create a scheduler that assigns whole classes and modules in the order of collection."""
    from xdist.scheduler import (  # type: ignore[import-untyped]
        LoadScopeScheduling,
    )

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc] # which has no types
        def _split_scope(self, nodeid: str) -> str:
            shared = (what for place, what in ONE_BY_ONE.items() if nodeid.startswith(place))
            return next(shared, super()._split_scope(nodeid))

    config.option.loadscopereorder = False
    return Scheduling(config, log)
