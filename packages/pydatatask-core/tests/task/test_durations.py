"""Durations and retry settings are validated when a task is created, not at launch."""

from __future__ import annotations

import math
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from pydatatask_core import (
    InProcessMetadataRepository,
    ProcessTask,
    ResourceManager,
    Resources,
    Retries,
)
from pydatatask_core.errors import TaskConfigurationError


def _task(**options: Any) -> ProcessTask:
    pids, quota = InProcessMetadataRepository(), ResourceManager(Resources.parse(1, 1))
    return ProcessTask("t", lambda: None, quota, Resources.parse(1, 1), pids, "true", **options)  # type: ignore[arg-type,return-value] # never called


@pytest.mark.parametrize("window", [60, 60.0, Fraction(60), timedelta(minutes=1)])
def test_a_window_is_a_timedelta_or_seconds(window: Any) -> None:
    assert _task(window=window).window == timedelta(seconds=60)


@pytest.mark.parametrize("window", ["60", None, True, -1, math.nan, math.inf, 1e300, timedelta(-1)])
def test_a_window_that_is_not_a_duration_is_rejected(window: Any) -> None:
    with pytest.raises(TaskConfigurationError, match="t: window has to be a time of at least 0"):
        _task(window=window)


@pytest.mark.parametrize("timeout", [5, 5.0, Fraction(5), timedelta(seconds=5)])
def test_a_timeout_is_a_timedelta_or_seconds(timeout: Any) -> None:
    assert _task(timeout=timeout).timeout == 5


@pytest.mark.parametrize("timeout", ["5", 0, -1, True, math.nan, timedelta(), [5]])
def test_a_timeout_that_is_not_a_duration_is_rejected(timeout: Any) -> None:
    with pytest.raises(TaskConfigurationError, match="t: timeout has to be a time above 0"):
        _task(timeout=timeout)


@pytest.mark.parametrize("options", [{"delay": "1"}, {"factor": None}, {"longest": math.nan}])
def test_retry_settings_that_are_not_numbers_are_rejected(options: Any) -> None:
    with pytest.raises(TaskConfigurationError, match="have to be numbers"):
        Retries(1, **options)
