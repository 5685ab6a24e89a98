"""The interpreter of scripts without a ``#!`` line. Pure.

By default such a script is strict: it ends at the first command that fails or unset variable that
is used. If the target has bash, a failing command inside a pipe ends it as well.
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
"""Looks for bash when the script starts, for targets that cannot be asked beforehand."""


def strict_shell(bash: str | None) -> tuple[str, ...]:
    """Return the command line of the strict interpreter on a target.

    :param bash: the path of bash there; None if the target has none.
    """
    return (DEFAULT_SHELL, _SH) if bash is None else (bash, *_BASH)


def parse_shell(shell: object) -> tuple[str, ...] | None:
    """Split the parameter ``shell`` into words.

    ``sh`` becomes the absolute path that every target has, so that it does not depend on ``PATH``.

    :param shell: a command line, to which the path of a script is appended; None for the default.
    :raises ValueError: if it is not a command line.
    """
    if shell is None:
        return None
    problem = f"shell must be a command line such as 'sh' or 'bash -e', not {shell!r}"
    if not isinstance(shell, str) or "\0" in shell:
        raise ValueError(problem)
    try:
        words = shlex.split(shell)
    except ValueError as e:
        raise ValueError(f"{problem} ({e})") from e
    if not words or not words[0]:
        raise ValueError(problem)
    return (DEFAULT_SHELL, *words[1:]) if words[0] == "sh" else tuple(words)
