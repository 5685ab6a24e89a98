"""Fixtures for all tests of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from services.blocking import no_blocking_calls

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _no_blocking_calls_in_the_loop() -> Iterator[None]:
    """Fail a test in which the core blocks the event loop.

    A call that waits for a disk delays every task of a pipeline, and with a fast disk no other
    test detects it. Only calls made by the core count: tests, pytest, hypothesis and the
    conformance suites may block, and quick calls on local file systems.
    """
    with no_blocking_calls():
        yield
