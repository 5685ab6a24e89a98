"""Shared fixtures of the tests on a real cluster."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _nothing_left_to_the_next_test() -> Iterator[None]:
    yield
    gc.collect()
