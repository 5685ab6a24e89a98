"""The shell command that launches a supervisor on another machine. Pure."""

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
"""The names of variables that every shell exports unchanged, because it does not use them."""


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
    """Return the command that launches a supervisor without waiting for it.

    :param remote: the machine.
    :param args: the command line of the process.
    :param environ: variables to add to those of the login.
    :param cwd: the working directory.
    :param streams: the paths of stdin, stdout and stderr; None for a null file, or ``STDOUT``.
    :param journal: the file for the identity of the process.
    :param begun: the file to create, if it does not exist, when the process becomes the command.
    :param status: the file for the status.
    :param line: the text that identifies the run when its supervisor exits.
    :param ends: the file to which the supervisor then appends it.
    """
    exported = {name: value for name, value in environ.items() if _EXPORTED.fullmatch(name)}
    # Shells drop these variables or do not start with them, so only the command itself gets them.
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
        f"5<{shell_join(cwd)}",  # a descriptor instead of the path, as in local launches
    ]
    exported |= carried
    if exported:  # exported by a subshell, so that no command line contains them
        assigned = [f"{name}={shell_join(value)}" for name, value in exported.items()]
        command = ["( export", *assigned, "; exec", *command, ")"]
    return " ".join(command if remote.detach else [*command, "&"])


def _redirects(streams: tuple[str | None, str | None, str | _StderrIsStdout | None]) -> list[str]:
    """Return the words that redirect the standard streams of a command.

    :param streams: the paths of stdin, stdout and stderr; None for a null file, or ``STDOUT``.
    """
    stdin, stdout, stderr = streams
    errors = "2>&1" if stderr is STDOUT else f"2>>{shell_join(stderr or '/dev/null')}"
    return [
        f"<{shell_join(stdin or '/dev/null')}",
        f">>{shell_join(stdout or '/dev/null')}",
        errors,
    ]


def _giving(carried: Iterable[str]) -> str:
    """Return the command prefix that sets variables which shells do not export.

    :param carried: the variables that contain them, so that command lines hold them only briefly.
    """
    dropped = " ".join(f"-u {name}" for name in carried)
    given = " ".join(f'"${name}"' for name in carried)
    script = f'exec "$0" {dropped} {given} "$@"'
    return f'{DEFAULT_SHELL} -c {shell_join(script)} "$pdt_env"'
