"""A template rendered for a job, and the errors for text that is not a pod. Without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TemplateError, excerpt
from pydatatask_core.task.redaction import REDACTED, Redacted, redact_message

from .manifest import ManifestError, ShapeError, parse

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Filled"]

_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Filled:
    """A rendered template that can be shown with the values from ``env`` redacted.

    :param owner: the name of the task.
    :param job: the job.
    :param text: the rendered text.
    :param masked: returns the redacted text; None if there is nothing to redact.
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
            found = e
        if isinstance(found, ShapeError):
            raise self._misshapen(found)
        # Raised outside of the handler, because the causes contain the text too.
        where = "" if found.line is None else f", line {found.line}"
        raise TemplateError(
            f"{self._about} {self._predicate(found)}{where}",
            f". The rendered template is:\n{_numbered(self._shown.text, found.line)}",
        )

    def _misshapen(self, found: ShapeError) -> TemplateError:
        value, redacted = found.value, self._shown
        where = told = ""
        if value is not None:
            where = self.describe_line(value.line) if self.describe_line is not None else ""
            secret = self.redacted is not None and value not in redacted.text
            told = f". The value is {REDACTED if secret else excerpt(value)}"
        return TemplateError(
            f"{self._about} {found.problem}{where}; print the value with `| tojson`, without "
            "quotes around it, or with `| raw` if it is meant as YAML (the task's "
            "unsafe_templates=True allows all values to be)",
            f"{told}. The rendered template is:\n{_numbered(redacted.text, None)}",
        )

    def refused(self, problem: str) -> TemplateError:
        """Return the error for a manifest that was rejected.

        Raise it without a cause that contains the unredacted message.

        :param problem: the message of the rejection.
        """
        shown = self._shown
        return TemplateError(
            f"{self._about} is not accepted: {redact_message(problem, shown)}",
            f". The rendered template is:\n{shown.text}",
        )

    def redact_message(self, message: str) -> str:
        """Return a message of another program with the secret values redacted.

        :param message: the message.
        """
        return redact_message(message, self._shown)

    @property
    def _about(self) -> str:
        return f"{self.owner}: the manifest for job {self.job!r}"

    @property
    def _shown(self) -> Redacted:
        if self.redacted is None:
            return Redacted(self.text)
        try:
            return self.redacted()
        except Exception:  # noqa: BLE001 - a template may fail in any way on redacted values
            return Redacted(REDACTED, [self.text])

    def _predicate(self, found: ManifestError) -> str:
        """Return the problem if the redacted text has it too, else a general predicate."""
        try:
            parse(self._shown.text)
        except ManifestError as e:
            if e.problem == found.problem:
                return found.problem
        return "is not valid, because of a value that a key of env inserted"


def _numbered(text: str, line: int | None) -> str:
    lines = list(enumerate(text.splitlines(), 1))
    if len(lines) > _LONGEST_SHOWN:
        first = max(0, (line or 1) - 1 - _LONGEST_SHOWN // 2)
        lines = lines[first : first + _LONGEST_SHOWN]
    return "\n".join(
        f"{'>' if number == line else ' '}{number:4} {content}" for number, content in lines
    )
