"""What a helper is told to launch a supervisor. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydatatask_core.proc_manager import STDOUT
from pydatatask_core.proc_manager.protocol.run_directory import DEFAULT_SHELL

from .remote.shell_functions import shell_join

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydatatask_core.proc_manager.base import _StderrIsStdout

    from .remote.host import RemoteHost

__all__ = ["launch_command"]

_OF_SHELLS = (
    r"pdt_\w*|BASH\w*|EPOCH\w+|OPT\w+|S?RANDOM|_|DIRSTACK|EUID|FUNCNAME|GROUPS|HISTCMD|IFS|LINENO|"
    r"PPID|SECONDS|SHELLOPTS|UID"
)
_EXPORTED = re.compile(rf"(?!({_OF_SHELLS})\Z)[A-Za-z_]\w*", re.ASCII)
"""The names of variables that any shell passes on as they are, since it keeps none for itself."""


def launch_command(
    remote: RemoteHost,
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

    :param remote: the machine.
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
    exported = {name: value for name, value in environ.items() if _EXPORTED.fullmatch(name)}
    # Shells drop these, or do not even start with them: so the command alone gets them.
    given = [f"{name}={value}" for name, value in environ.items() if name not in exported]
    carried = {f"pydatatask_given{number}": text for number, text in enumerate(given)}
    supervisor = [
        shell_join(ends, line, "/proc/self/fd/5", journal, begun, status),
        '"$pdt_boot" "$pdt_setsid"',
        *([_giving(carried)] if carried else []),
        shell_join(*args),
    ]
    command = [
        f'"$pdt_setsid" {remote.detach} {DEFAULT_SHELL} -c "$pdt_tellers" sh',
        *supervisor,
        *_redirects(streams),
        f"5<{shell_join(cwd)}",  # the directory as it is now, as core's own launching has it
    ]
    exported |= carried
    if exported:  # by a shell of its own, which becomes the command: no command line holds them
        assigned = [f"{name}={shell_join(value)}" for name, value in exported.items()]
        command = ["( export", *assigned, "; exec", *command, ")"]
    return " ".join(command if remote.detach else [*command, "&"])


def _redirects(streams: tuple[str | None, str | None, str | _StderrIsStdout | None]) -> list[str]:
    """Return the words that redirect the standard streams of a command.

    :param streams: the paths of stdin, stdout and stderr, None for a null file, ``STDOUT``.
    """
    stdin, stdout, stderr = streams
    errors = "2>&1" if stderr is STDOUT else f"2>>{shell_join(stderr or '/dev/null')}"
    return [
        f"<{shell_join(stdin or '/dev/null')}",
        f">>{shell_join(stdout or '/dev/null')}",
        errors,
    ]


def _giving(carried: Iterable[str]) -> str:
    """Return the words before a command that give it variables which no shell passes on.

    :param carried: the variables that hold them, as no command line is to do for long.
    """
    dropped = " ".join(f"-u {name}" for name in carried)
    given = " ".join(f'"${name}"' for name in carried)
    script = f'exec "$0" {dropped} {given} "$@"'
    return f'{DEFAULT_SHELL} -c {shell_join(script)} "$pdt_env"'
