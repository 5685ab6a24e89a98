"""A template rendered for a job, and the errors for text that is not a pod. Without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TemplateError, excerpt
from pydatatask_core.task.redaction import REDACTED, redact_message

from .pod_manifest import ManifestError, ShapeError, parse

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydatatask_core.task.rendered import RenderedText
    from pydatatask_core.task.template import TaskTemplate

__all__ = ["RenderedTemplate"]

_MAX_LINES_SHOWN = 60


@dataclass(frozen=True)
class RenderedTemplate:
    """A rendered template, and the errors about it, which contain no values of ``env``.

    :param owner: the name of the task.
    :param job: the job.
    :param template: the template.
    :param text: the rendered text. Messages show it, or the template if ``secrets`` is given.
    :param secrets: the texts that messages must not contain; None if the template uses no value of
        ``env``.
    :param unsafe: whether values may change the shape of the manifest.
    """

    owner: str
    job: str
    template: TaskTemplate
    text: RenderedText
    secrets: Collection[str] | None = None
    unsafe: bool = False

    def parse(self) -> dict[str, Any]:
        """Parse the manifest of a pod.

        :raises TemplateError: if it is not valid, with the number of the wrong line, or if a value
            changes its shape, with the value.
        """
        try:
            return parse(str.__str__(self.text) if self.unsafe else self.text)
        except ManifestError as e:
            error = e
        # Raised outside of the handler, because the causes contain the text too.
        raise self._misshapen(error) if isinstance(error, ShapeError) else self._invalid(error)

    def _invalid(self, error: ManifestError) -> TemplateError:
        where, origin = "", None
        if error.line is not None:
            where = f", line {error.line}"
            origin = self.text.template_line(error.line)
            if self.secrets is not None:
                where = self.template.describe_line(origin) or f"{where} of the rendered template"
        problem = self.redact_message(error.problem)
        return TemplateError(f"{self._subject} {problem}{where}", self._shown(error.line, origin))

    def _misshapen(self, error: ShapeError) -> TemplateError:
        value, where, told, line = error.value, "", "", None
        if value is not None:
            line = value.line
            where = self.template.describe_line(line)
            told = f". The value is {excerpt(value) if self.secrets is None else REDACTED}"
        return TemplateError(
            f"{self._subject} {error.problem}{where}; print the value with `| tojson`, without "
            "quotes around it, or with `| raw` if it is meant as YAML (the task's "
            "unsafe_templates=True allows all values to be)",
            told + self._shown(None, line),
        )

    def rejection(self, problem: str) -> TemplateError:
        """Return the error for a manifest that was rejected.

        Raise it without a cause that contains the unredacted message.

        :param problem: the message of the rejection.
        """
        message = f"{self._subject} is not accepted: {self.redact_message(problem)}"
        return TemplateError(message, self._shown(None, None))

    def redact_message(self, message: str) -> str:
        """Return a message of another program with the secret values redacted.

        :param message: the message.
        """
        if self.secrets is None:
            return message
        return redact_message(message, self.secrets, f"{self.template.text} {self.job}")

    @property
    def _subject(self) -> str:
        return f"{self.owner}: the manifest for job {self.job!r}"

    def _shown(self, line: int | None, origin: int | None) -> str:
        """Return the rendered template, or the template itself if a value in it is secret.

        :param line: the line to mark in the rendered template.
        :param origin: the line to mark in the template.
        """
        if self.secrets is None:
            return f". The rendered template is:\n{_number_lines(self.text, line)}"
        return f". The template is:\n{_number_lines(self.template.text, origin)}"


def _number_lines(text: str, line: int | None) -> str:
    lines = list(enumerate(text.splitlines(), 1))
    if len(lines) > _MAX_LINES_SHOWN:
        first = max(0, (line or 1) - 1 - _MAX_LINES_SHOWN // 2)
        lines = lines[first : first + _MAX_LINES_SHOWN]
    return "\n".join(
        f"{'>' if number == line else ' '}{number:4} {content}" for number, content in lines
    )
