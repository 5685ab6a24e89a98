"""Measurement of one run of a contestant in a fresh process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .case import Contestant, Size

__all__ = ["ContestantFailedError", "TooSlowError", "measure"]

REAPER = Path(__file__).with_name("reaper.py")


class ContestantFailedError(Exception):
    """A contestant failed; the message contains the end of its output."""


class TooSlowError(Exception):
    """A contestant exceeded its time limit."""


def measure(
    contestant: Contestant,
    size: Size,
    python: Path,
    folder: Path,
    environ: Mapping[str, str],
    limit: float,
) -> dict[str, float]:
    """Run a contestant once, and return its figures.

    The figures are ``seconds`` until the process exits, ``cpu`` seconds of the process and of all
    its descendants, even of those that outlive it, and ``peak`` bytes of resident memory of the
    largest of them. If the last line of the output is a JSON object, it is merged into the figures.

    :param contestant: the contestant to run.
    :param size: the amount of work.
    :param python: the Python of its environment.
    :param folder: the working directory.
    :param environ: additional environment variables.
    :param limit: the time limit in seconds.
    :raises ContestantFailedError: if the contestant fails, or leaves processes running.
    :raises TooSlowError: if the contestant exceeds the time limit.
    """
    command = [str(python) if part == "{python}" else part for part in contestant.command(size)]
    with tempfile.TemporaryFile() as output:
        # Let Python cache bytecode, so that compilation does not count in each process.
        told = {"PYTHONDONTWRITEBYTECODE": "", **environ}
        path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
        figures = _timed(command, folder, os.environ | told | {"PATH": path}, output, limit)
        output.seek(0)
        return figures | _printed(output.read().decode(errors="replace"))


def _timed(
    command: list[str], folder: Path, environ: Mapping[str, str], output: IO[bytes], limit: float
) -> dict[str, float]:
    report, report_end = os.pipe()
    with open(report, "rb") as reports:
        try:
            # Isolated and without site-packages, so that it is small and starts fast.
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(REAPER), str(report_end), *command],
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[report_end],
            )
        finally:
            os.close(report_end)
        _wait(process, limit)
        told = reports.read()
    if not told:
        raise ContestantFailedError(f"the reaper failed: {_end_of(output)}")
    figures: dict[str, Any] = json.loads(told)
    if code := figures.pop("code"):
        raise ContestantFailedError(f"exit status {code}: {_end_of(output)}")
    if remaining := figures.pop("remaining"):
        raise ContestantFailedError(f"processes remain after its end: {remaining}")
    return figures


def _wait(process: subprocess.Popen[bytes], limit: float) -> None:
    """Wait for a process, and kill its group if it takes too long.

    :raises TooSlowError: if it takes too long.
    """
    try:
        process.wait(limit)
    except BaseException as e:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(e, subprocess.TimeoutExpired):
            raise TooSlowError from e
        raise


def _end_of(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace").strip()[-2000:]


def _printed(text: str) -> dict[str, float]:
    last = text.strip().rpartition("\n")[2]
    try:
        figures = json.loads(last)
    except ValueError:
        return {}
    return figures if isinstance(figures, dict) else {}
