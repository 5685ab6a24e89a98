"""Running one contestant once, in a fresh process, and measuring it from outside."""

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
    """A contestant did not do its work; the message is the end of what it printed."""


class TooSlowError(Exception):
    """A contestant did not end in time."""


def measure(
    contestant: Contestant,
    size: Size,
    python: Path,
    folder: Path,
    environ: Mapping[str, str],
    limit: float,
) -> dict[str, float]:
    """Run a contestant once, and give its figures.

    What the program prints last, if that is an object of JSON, is added to what is seen from
    outside: ``seconds`` of the whole process, ``cpu`` seconds and ``peak`` bytes of resident
    memory of it or of any child that it waited for.

    :param contestant: what to run.
    :param size: how much work it gets.
    :param python: the Python of its environment.
    :param folder: where to run it.
    :param environ: variables for it, besides ours.
    :param limit: how many seconds it gets.
    :raises ContestantFailedError: if it fails.
    :raises TooSlowError: if it takes longer than that.
    """
    command = [str(python) if part == "{python}" else part for part in contestant.command(size)]
    with tempfile.TemporaryFile() as output:
        # What is compiled once and for all must not count again in each process.
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
        # Not Popen's own wait: this gives what the process and its children used as well.
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
