"""Measurement of one run of a contestant in a fresh process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .case import Contestant, Size

__all__ = ["ContestantFailedError", "TooSlowError", "measure"]


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

    The figures are ``seconds`` of the whole process, ``cpu`` seconds, and ``peak`` bytes of
    resident memory of the process or of any child that it waited for. If the last line of the
    output is a JSON object, it is merged into the figures.

    :param contestant: the contestant to run.
    :param size: the amount of work.
    :param python: the Python of its environment.
    :param folder: the working directory.
    :param environ: additional environment variables.
    :param limit: the time limit in seconds.
    :raises ContestantFailedError: if the contestant fails.
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
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    late = threading.Timer(limit, os.killpg, (process.pid, signal.SIGKILL))
    late.start()
    try:
        # Unlike Popen.wait(), wait4() also returns the resource usage of the process and its
        # children.
        _, status, used = os.wait4(process.pid, 0)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        late.cancel()
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode == -signal.SIGKILL and seconds >= limit:
        raise TooSlowError
    if process.returncode:
        output.seek(0)
        told = output.read().decode(errors="replace").strip()[-2000:]
        raise ContestantFailedError(f"exit status {process.returncode}: {told}")
    cpu = used.ru_utime + used.ru_stime
    return {"seconds": seconds, "cpu": cpu, "peak": used.ru_maxrss * 1024.0}


def _printed(text: str) -> dict[str, float]:
    last = text.strip().rpartition("\n")[2]
    try:
        figures = json.loads(last)
    except ValueError:
        return {}
    return figures if isinstance(figures, dict) else {}
