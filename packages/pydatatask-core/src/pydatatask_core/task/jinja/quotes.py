"""The check for printed values that a script may interpret as code."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydatatask_core.errors import TemplateError, excerpt
from pydatatask_core.task.rendered import JsonText, Quoted, is_plain

from .shell_quotes import find_misplaced, is_shell_script

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydatatask_core.task.rendered import Piece, RenderedText
    from pydatatask_core.task.template import Quoting

__all__ = ["QuotingCheck"]

log = logging.getLogger("pydatatask.task")

_SHELL_PROBLEM = (
    "that the shell may interpret as code or drop; write `{{ ... | quote }}`, outside of other "
    "quotes, or `{{ ... | raw }}` if this is intended"
)
_OTHER_PROBLEM = (
    "that the script's interpreter may run as code; write `{{ ... | tojson }}` for a literal, or "
    "`{{ ... | raw }}` if this is intended"
)


class QuotingCheck:
    """The quoting check of the scripts of one task.

    :param about: the task and its template, for messages.
    :param quoting: ``"strict"`` rejects a script with an unquoted value, ``"warn"`` logs a warning
        for the first one only, ``"off"`` disables the check.
    :param describe_line: returns the expressions in a line of the template, for messages.
    """

    def __init__(self, about: str, quoting: Quoting, describe_line: Callable[[int], str]) -> None:
        self._about = about
        self._strict = quoting == "strict"
        self._ended = quoting == "off"
        self._describe_line = describe_line

    def check(self, text: RenderedText, job: str) -> None:
        """Check the script of a job.

        :param text: the script.
        :param job: the job.
        :raises TemplateError: if the check is strict and a value may be interpreted as code.
        """
        if self._ended:
            return
        found = _find_unquoted(text)
        if found is None:
            return
        piece, problem = found
        message = f"{self._about} prints a value {problem}{self._describe_line(piece.line)}"
        details = f". The value for job {job!r} is {excerpt(piece)}"
        if self._strict:
            refusal = "; the job is refused, because quoting is 'strict'"
            raise TemplateError(message + refusal, details)
        self._ended = True
        log.warning(
            "%s. This is reported once per task; quoting='strict' refuses such jobs, and "
            "quoting='off' turns the check off",
            message + details,
            extra={"job": job},
        )


def _find_unquoted(text: RenderedText) -> tuple[Piece, str] | None:
    """Return the first value that may be interpreted as code, with the problem and its remedy."""
    values = text.values
    for piece in values:
        if type(piece) is not Quoted and not is_plain(piece):
            if is_shell_script(text):
                return piece, _SHELL_PROBLEM
            if type(piece) is not JsonText:
                return piece, _OTHER_PROBLEM
    for value, place in find_misplaced(text, values):
        return value, (
            f"that is quoted, but within {place}, where these quotes have no effect; write "
            "`{{ ... | quote }}` outside of other quotes, comments and here-documents"
        )
    return None
