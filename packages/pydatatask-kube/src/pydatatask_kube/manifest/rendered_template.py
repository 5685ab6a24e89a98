"""A template rendered for a job, and the errors for text that is not a pod. Without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TemplateError, excerpt
from pydatatask_core.task.redaction import REDACTED, Redacted, redact_message

from .pod_manifest import ManifestError, ShapeError, parse

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RenderedTemplate"]

_MAX_LINES_SHOWN = 60


@dataclass(frozen=True)
class RenderedTemplate:
    """A rendered template that can be shown with the values from ``env`` redacted.

    :param owner: the name of the task.
    :param job: the job.
    :param text: the rendered text.
    :param redacted: returns the redacted text; None if there is nothing to redact.
    :param describe_line: returns the expressions in a line of the template, for messages.
    """

    owner: str
    job: str
    text: str
    redacted: Callable[[], Redacted] | None = None
    describe_line: Callable[[int], str] | None = None

    def parse(self) -> dict[str, Any]:
        """Parse the manifest of a pod.

        :raises TemplateError: if it is not valid, with the number of the wrong line, or if a value
            changes its shape, with the value.
        """
        try:
            return parse(self.text)
        except ManifestError as e:
            error = e
        if isinstance(error, ShapeError):
            raise self._misshapen(error)
        # Raised outside of the handler, because the causes contain the text too.
        where = "" if error.line is None else f", line {error.line}"
        raise TemplateError(
            f"{self._subject} {self._predicate(error)}{where}",
            f". The rendered template is:\n{_number_lines(self._redacted_text.text, error.line)}",
        )

    def _misshapen(self, error: ShapeError) -> TemplateError:
        value, redacted = error.value, self._redacted_text
        where = told = ""
        if value is not None:
            where = self.describe_line(value.line) if self.describe_line is not None else ""
            secret = self.redacted is not None and value not in redacted.text
            told = f". The value is {REDACTED if secret else excerpt(value)}"
        return TemplateError(
            f"{self._subject} {error.problem}{where}; print the value with `| tojson`, without "
            "quotes around it, or with `| raw` if it is meant as YAML (the task's "
            "unsafe_templates=True allows all values to be)",
            f"{told}. The rendered template is:\n{_number_lines(redacted.text, None)}",
        )

    def rejection(self, problem: str) -> TemplateError:
        """Return the error for a manifest that was rejected.

        Raise it without a cause that contains the unredacted message.

        :param problem: the message of the rejection.
        """
        shown = self._redacted_text
        return TemplateError(
            f"{self._subject} is not accepted: {redact_message(problem, shown)}",
            f". The rendered template is:\n{shown.text}",
        )

    def redact_message(self, message: str) -> str:
        """Return a message of another program with the secret values redacted.

        :param message: the message.
        """
        return redact_message(message, self._redacted_text)

    @property
    def _subject(self) -> str:
        return f"{self.owner}: the manifest for job {self.job!r}"

    @property
    def _redacted_text(self) -> Redacted:
        if self.redacted is None:
            return Redacted(self.text)
        try:
            return self.redacted()
        except Exception:  # noqa: BLE001 - a template may fail in any way on redacted values
            return Redacted(REDACTED, [self.text])

    def _predicate(self, error: ManifestError) -> str:
        """Return the problem if the redacted text has it too, else a general predicate."""
        try:
            parse(self._redacted_text.text)
        except ManifestError as e:
            if e.problem == error.problem:
                return error.problem
        return "is not valid, because of a value that a key of env inserted"


def _number_lines(text: str, line: int | None) -> str:
    lines = list(enumerate(text.splitlines(), 1))
    if len(lines) > _MAX_LINES_SHOWN:
        first = max(0, (line or 1) - 1 - _MAX_LINES_SHOWN // 2)
        lines = lines[first : first + _MAX_LINES_SHOWN]
    return "\n".join(
        f"{'>' if number == line else ' '}{number:4} {content}" for number, content in lines
    )
