"""The interpreter of scripts that do not name one in a first line ``#!``. Pure.

By default such a script runs strictly: a command that fails ends it, and so does a variable that is
not set. Where the target has bash, a command that fails inside a pipe is noticed as well.
"""

from __future__ import annotations

import shlex

from .protocol.run_directory import DEFAULT_SHELL

__all__ = ["DETECTED_SHELL", "parse_shell", "strict_shell"]

_BASH = ("-euo", "pipefail")
_SH = "-eu"

DETECTED_SHELL = (
    DEFAULT_SHELL,
    "-c",
    (
        f'if command -v bash >/dev/null; then exec bash {" ".join(_BASH)} "$0"; fi; '
        f'exec {DEFAULT_SHELL} {_SH} "$0"'
    ),
)
"""Looks for bash when the script is started: for a target that cannot be asked before."""


def strict_shell(bash: str | None) -> tuple[str, ...]:
    """Return the command line of the strict interpreter of a target.

    :param bash: the path of bash there; None if the target has none.
    """
    return (DEFAULT_SHELL, _SH) if bash is None else (bash, *_BASH)


def parse_shell(shell: object) -> tuple[str, ...] | None:
    """Split the parameter ``shell`` into words.

    ``sh`` is the shell at the path where every target has it, so that it needs no ``PATH``.

    :param shell: a command line, to which the path of a script is appended; None for the default.
    :raises ValueError: if it is not a command line.
    """
    if shell is None:
        return None
    problem = f"shell has to be a command line such as 'sh' or 'bash -e', not {shell!r}"
    if not isinstance(shell, str) or "\0" in shell:
        raise ValueError(problem)
    try:
        words = shlex.split(shell)
    except ValueError as e:
        raise ValueError(f"{problem} ({e})") from e
    if not words or not words[0]:
        raise ValueError(problem)
    return (DEFAULT_SHELL, *words[1:]) if words[0] == "sh" else tuple(words)
