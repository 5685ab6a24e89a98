"""What a helper is told to launch a supervisor. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.proc_manager import STDOUT
from pydatatask_core.proc_manager.supervisor import DEFAULT_SHELL

from .script import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydatatask_core.proc_manager.base import _StderrIsStdout

    from .target import Target

__all__ = ["launch_text"]


def launch_text(
    target: Target,
    args: Sequence[str],
    environ: Mapping[str, str],
    cwd: str,
    streams: tuple[str | None, str | None, str | _StderrIsStdout | None],
    *,
    journal: str,
    begun: str,
    status: str,
    line: str,
    ends: str,
) -> str:
    """Give the command that launches a supervisor and does not wait for it.

    :param target: the machine.
    :param args: the command line of the process.
    :param environ: variables to add to those of the login.
    :param cwd: the directory to run in.
    :param streams: the paths of stdin, stdout and stderr, None for a null file, ``STDOUT``.
    :param journal: where the identity goes.
    :param begun: what to make, if it is not there, as the process becomes the command.
    :param status: where the status goes.
    :param line: what to tell of the end by.
    :param ends: the file to add that to.
    """
    stdin, stdout, stderr = streams
    supervisor = [
        words(ends, line, "/proc/self/fd/5", journal, begun, status),
        '"$pdt_boot" "$pdt_setsid"',
        words(*args),
    ]
    added = words("env", *(f"{name}={value}" for name, value in environ.items()))
    redirects = [
        f"<{words(stdin or '/dev/null')}",
        f">>{words(stdout or '/dev/null')}",
        "2>&1" if stderr is STDOUT else f"2>>{words(stderr or '/dev/null')}",
        # The directory as it is now, as core's own launching has it.
        f"5<{words(cwd)}",
    ]
    command = (
        f'{added if environ else ""} setsid {target.detach} {DEFAULT_SHELL} -c "$pdt_tellers" sh '
        f"{' '.join(supervisor)} {' '.join(redirects)}"
    )
    return command.strip() if target.detach else f"{command.strip()} &"
