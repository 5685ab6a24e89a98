"""What the tests of the pipeline share."""

from __future__ import annotations

import pytest

from pydatatask_core.pipeline import background_tasks, run, updates


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten every wait for what may never come."""
    monkeypatch.setattr(run, "UPDATE_TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(updates, "SHUTDOWN_TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(background_tasks, "SHUTDOWN_TIMEOUT_SECONDS", 0.01)
