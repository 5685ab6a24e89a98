"""Measurement of one contestant and of all its descendants."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import BENCHMARKS

DETACHED = """
import os, time
if not os.fork():
    os.setsid()
    while time.process_time() < 0.3:
        pass
"""
"""A program that exits before its detached child has used its processor time."""


def measured(harness: Any, folder: Path, *command: str, limit: float = 60) -> Any:
    contestant = harness.case.Contestant("peer", lambda _: command)
    size = harness.case.Size(1)
    return harness.measure.measure(contestant, size, Path(sys.executable), folder, {}, limit)


def test_a_contestant_that_fails_is_an_error_with_its_output(harness: Any, tmp_path: Path) -> None:
    with pytest.raises(harness.measure.ContestantFailedError, match="exit status 3: no such file"):
        measured(harness, tmp_path, "sh", "-c", "echo no such file >&2; exit 3")


def test_a_missing_program_is_an_error(harness: Any, tmp_path: Path) -> None:
    with pytest.raises(harness.measure.ContestantFailedError, match="no-such-program"):
        measured(harness, tmp_path, "no-such-program")


def test_a_contestant_that_exceeds_its_limit_is_too_slow(harness: Any, tmp_path: Path) -> None:
    with pytest.raises(harness.measure.TooSlowError):
        measured(harness, tmp_path, "sleep", "600", limit=0.1)


def test_a_contestant_does_not_inherit_the_ignored_signals_of_python(
    harness: Any, tmp_path: Path
) -> None:
    with pytest.raises(harness.measure.ContestantFailedError, match="exit status -13"):
        measured(harness, tmp_path, "sh", "-c", "kill -PIPE $$")


def test_a_process_that_outlives_its_contestant_is_killed_and_reported() -> None:
    program = "import reaper; reaper.EXIT_TIMEOUT_SECONDS = 1; reaper.main()"
    reports, report = os.pipe()
    subprocess.run(
        [sys.executable, "-c", program, str(report), "setsid", "--fork", "sleep", "600"],
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS / "harness")},
        pass_fds=[report],
        check=True,
    )
    os.close(report)
    with os.fdopen(reports) as file:
        figures = json.load(file)
    assert figures["code"] == 0
    (remaining,) = figures["remaining"]
    assert remaining.endswith("sleep 600")


def test_the_processor_time_of_a_detached_process_counts(harness: Any, tmp_path: Path) -> None:
    figures = measured(harness, tmp_path, sys.executable, "-c", DETACHED)
    assert figures["cpu"] >= 0.3
    assert set(figures) == {"seconds", "cpu", "peak"}


def test_figures_that_a_contestant_prints_take_precedence(harness: Any, tmp_path: Path) -> None:
    figures = measured(harness, tmp_path, "echo", '{"seconds": 5, "latency": 2}')
    assert figures["seconds"] == 5
    assert figures["latency"] == 2


@pytest.mark.parametrize(
    ("folders", "error"),
    [(["{tmp}/absent"], "is not a folder"), (["{tmp}", "{tmp}/."], "are both on")],
)
def test_folders_that_cannot_be_compared_are_refused(
    folders: list[str], error: str, tmp_path: Path
) -> None:
    options = [part for path in folders for part in ("--folder", path.format(tmp=tmp_path))]
    command = [sys.executable, str(BENCHMARKS), "--quick", "latency", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert error in done.stderr
