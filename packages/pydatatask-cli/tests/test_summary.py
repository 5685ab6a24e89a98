"""The summary at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_cli.summary import print_summary
from pydatatask_core.pipeline import RunSummary

if TYPE_CHECKING:
    import pytest


def test_a_job_that_failed_twice_in_a_run_is_listed_once(capfd: pytest.CaptureFixture[str]) -> None:
    summary = RunSummary(launched={"count": 3}, failed={"count": ["b", "a", "b"]}, seconds=1.0)
    print_summary(summary, {})
    assert capfd.readouterr().out.splitlines()[1:] == ["failed: count 2: a b"]
