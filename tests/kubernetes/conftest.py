"""What the tests on a real cluster share."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let the collector close what is left of a TLS connection that was given up while it was made.

    asyncio of Python 3.11 leaves the socket of one in a hundred or so to the collector, when who
    connects is cancelled in the middle of the handshake.
    """
    for what in ("unclosed transport", "unclosed <socket"):
        item.add_marker(pytest.mark.filterwarnings(f"ignore:{what}:ResourceWarning"))


@pytest.fixture(autouse=True)
def _nothing_left_to_the_next_test() -> Iterator[None]:
    yield
    gc.collect()
