"""What all tests of the core share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import blockbuster
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _no_blocking_calls_in_the_loop() -> Iterator[None]:
    """Fail a test in which the core blocks the event loop.

    One call that waits for a disk holds up every task of a pipeline, and no test would notice it
    on a fast disk. Only calls that the core makes count: a test may look into a folder as it
    likes, and pytest and hypothesis do so behind its back. The suites are tests, too.
    """
    with blockbuster.blockbuster_ctx(
        scanned_modules=["pydatatask_core"], excluded_modules=["pydatatask_core.testing"]
    ):
        yield
