"""Fixtures for the tests of the pipeline."""

from __future__ import annotations

import pytest

from pydatatask_core.pipeline import background_tasks, run, updates


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten all timeouts."""
    monkeypatch.setattr(run, "UPDATE_TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(updates, "SHUTDOWN_TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(background_tasks, "SHUTDOWN_TIMEOUT_SECONDS", 0.01)
