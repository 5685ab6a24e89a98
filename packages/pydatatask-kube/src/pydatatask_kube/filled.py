"""A template that was filled in for a job, and what is said of it if it gives no pod. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TemplateError, excerpt
from pydatatask_core.task.masking import MASK, Masked, conceal

from .manifest import ManifestError, ShapeError, parse

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Filled"]

_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Filled:
    """A template that was filled in, and how it may be excerpt: without what came from ``env``.

    :param owner: the name of the task.
    :param job: the job.
    :param text: what it reads.
    :param masked: gives the same with masks for what is not to be excerpt; None if nothing is.
    :param describe_line: returns the expressions in a line of the template, for messages.
    """

    owner: str
    job: str
    text: str
    masked: Callable[[], Masked] | None = None
    describe_line: Callable[[int], str] | None = None

    def parse(self) -> dict[str, Any]:
        """Read the manifest of a pod.

        :raises TemplateError: if it is none, with the line that is wrong; if a value changes its
            shape, with the value.
        """
        try:
            return parse(self.text)
        except ManifestError as e:
            found = e
        if isinstance(found, ShapeError):
            raise self._misshapen(found)
        # Outside of the handler, since the causes tell of the text as well.
        where = "" if found.line is None else f", line {found.line}"
        raise TemplateError(
            f"{self._about} {self._predicate(found)}{where}",
            f". Filled in it reads:\n{_numbered(self._shown.text, found.line)}",
        )

    def _misshapen(self, found: ShapeError) -> TemplateError:
        value, masked = found.value, self._shown
        where = told = ""
        if value is not None:
            where = self.describe_line(value.line) if self.describe_line is not None else ""
            secret = self.masked is not None and value not in masked.text
            told = f". The value is {MASK if secret else excerpt(value)}"
        return TemplateError(
            f"{self._about} {found.problem}{where}; print the value with `| tojson`, without "
            "quotes around it, or with `| raw` if it is meant as YAML (the task's "
            "unsafe_templates=True allows all values to be)",
            f"{told}. Filled in it reads:\n{_numbered(masked.text, None)}",
        )

    def refused(self, problem: str) -> TemplateError:
        """Make an error of what somebody says who does not accept it.

        It is to be raised without a cause that tells the same.

        :param problem: what is said.
        """
        excerpt = self._shown
        return TemplateError(
            f"{self._about} is not accepted: {conceal(problem, excerpt)}",
            f". Filled in it reads:\n{excerpt.text}",
        )

    def conceal(self, message: str) -> str:
        """Hide in a message of somebody else what is not to be excerpt.

        :param message: the message.
        """
        return conceal(message, self._shown)

    @property
    def _about(self) -> str:
        return f"{self.owner}: the manifest for job {self.job!r}"

    @property
    def _shown(self) -> Masked:
        if self.masked is None:
            return Masked(self.text)
        try:
            return self.masked()
        except Exception:  # noqa: BLE001 - a template may do anything with what is masked
            return Masked(MASK, [self.text])

    def _predicate(self, found: ManifestError) -> str:
        """Say what is wrong, as far as what may be excerpt says so as well."""
        try:
            parse(self._shown.text)
        except ManifestError as e:
            if e.problem == found.problem:
                return found.problem
        return "is none, because of something that a key of env put in"


def _numbered(text: str, line: int | None) -> str:
    lines = list(enumerate(text.splitlines(), 1))
    if len(lines) > _LONGEST_SHOWN:
        first = max(0, (line or 1) - 1 - _LONGEST_SHOWN // 2)
        lines = lines[first : first + _LONGEST_SHOWN]
    return "\n".join(
        f"{'>' if number == line else ' '}{number:4} {content}" for number, content in lines
    )
