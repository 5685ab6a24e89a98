"""What the tests of the pipeline share."""

from __future__ import annotations

import pytest

from pydatatask_core.pipeline import background, loop, updates


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten every wait for what may never come."""
    monkeypatch.setattr(loop, "PATIENCE", 0.01)
    monkeypatch.setattr(updates, "LONGEST_FAREWELL", 0.01)
    monkeypatch.setattr(background, "LONGEST_FAREWELL", 0.01)
