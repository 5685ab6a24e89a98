"""Templates of scripts and manifests, in which a job and a task's links can be named."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TemplateError, describe

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import jinja2

    from pydatatask_core.repository.base import Repository

    from .masking import Masked

__all__ = ["Template", "gather", "plain_names"]

log = logging.getLogger("pydatatask.task")

_LONGEST_NAME = 4096

_PLAIN = r"(?<!\{)\{\{\s*([A-Za-z_]\w*)(?:\s*\.\s*[A-Za-z_]\w*)*\s*(?:\|\s*quote\s*)?\}\}"
"""An expression that is nothing but a name, perhaps what is in it, and perhaps quoted."""

_MARKS = ("{{", "{%", "{#")
_CONSTANTS = frozenset({"true", "false", "none", "self", "super"})


class Template:
    """A Jinja2 template, read and compiled when it is first needed.

    What is not defined is an error, never an empty string. The filter ``quote`` makes one word of
    a shell out of anything.

    :param source: the text; or a file, if it is a path, or a string without a line break that
        names a file that exists when the template is read.
    :param owner: the name of the task, for messages.
    """

    def __init__(self, source: str | os.PathLike[str], owner: str) -> None:
        if not isinstance(source, str | os.PathLike):
            raise TemplateError(
                f"{owner}: the template has to be a string or a path, not {source!r}"
            )
        self.source = source
        self.owner = owner
        self.place = "its template"
        self._text: str | None = None
        self._compiled: jinja2.Template | None = None
        self._loading = threading.Lock()
        self.names: frozenset[str] = frozenset()
        """The names that it uses and does not define; known once it is checked or loaded."""

    async def check(self) -> None:
        """Read the template and see that it is well-formed, unless that has been done.

        This is all that is needed where nothing is launched. It does without Jinja2 where that
        could find no fault, since to import it and compile takes a fifth of a start with nothing
        to do.

        :raises TemplateError: if it cannot be read, or is not well-formed.
        """
        if self._compiled is None:
            await asyncio.to_thread(self._check)

    def _check(self) -> None:
        names = plain_names(self._read())
        if names is None:
            self._load()
        else:
            self.names = names

    def warn_of_unknown(self, own: Collection[str], links: Collection[str]) -> None:
        """Warn of names that the template uses, which is checked, and that mean nothing.

        :param own: the names that mean something besides links.
        :param links: the names of links.
        """
        unknown = self.names - {*own, *links}
        if unknown:
            log.warning(
                "%s: %s names %s, which is neither %s nor a link; there are the links %s",
                *(self.owner, self.place, sorted(unknown)),
                *(", ".join(f"`{name}`" for name in own), sorted(links)),
                extra={"task": self.owner},
            )

    @property
    def names_interpreter(self) -> bool:
        """Whether the template, which is checked or loaded, begins with a line ``#!``."""
        return (self._text or "").lstrip("\ufeff \t\r\n").startswith("#!")

    async def load(self) -> None:
        """Read and compile the template, unless that has been done.

        :raises TemplateError: if it cannot be read, or is not well-formed.
        """
        if self._compiled is None:
            await asyncio.to_thread(self._load)

    def _load(self) -> None:
        with self._loading:  # the first launches come together
            if self._compiled is None:
                self._compile(self._read())

    def _compile(self, text: str) -> None:
        import jinja2
        from jinja2 import meta

        environment = _environment()
        try:
            self.names = frozenset(meta.find_undeclared_variables(environment.parse(text)))
            self._compiled = environment.from_string(text)
        except jinja2.TemplateSyntaxError as e:
            raise TemplateError(
                f"{self.owner}: {self.place} is not well-formed, line {e.lineno}: {e.message}"
            ) from e

    def _read(self) -> str:
        if self._text is None:
            self._text = self._find()
        return self._text

    def _find(self) -> str:
        source = self.source
        if isinstance(source, str):
            short = "\n" not in source and 0 < len(source) <= _LONGEST_NAME and "\0" not in source
            if not short or not os.path.isfile(source):
                return source
        from pathlib import Path

        path = Path(source)
        self.place = f"the template {str(path)!r}"
        try:
            return path.read_bytes().decode()
        except (OSError, UnicodeDecodeError) as e:
            raise TemplateError(f"{self.owner}: {self.place} cannot be read: {describe(e)}") from e

    def render(
        self,
        job: str,
        values: Mapping[str, Any],
        known: Iterable[str],
        secret: Collection[str] = (),
    ) -> str:
        """Fill in the template.

        :param job: the job, for messages.
        :param values: what the names mean.
        :param known: every name that could have been used, for messages.
        :param secret: the names of values that are not to be in a message.
        :raises TemplateError: naming job, line and what is wrong with it.
        """
        import jinja2

        assert self._compiled is not None
        try:
            return self._compiled.render(values)
        except Exception as e:  # noqa: BLE001 - it is raised anew, as ours
            undefined = isinstance(e, jinja2.UndefinedError)
            hint = f"; there are: {', '.join(sorted(known))}" if undefined else ""
            told = [values[name] for name in secret if name in values]
            raise self._error(job, e, hint, told) from (None if told else e)

    def masked(self, values: Mapping[str, Any], secret: Collection[str]) -> Masked:
        """Fill in the template, which can be, so that the outcome may be shown.

        :param values: what the names mean.
        :param secret: the names of values of which nothing is to be shown.
        """
        from .masking import mask

        return mask(_environment(), self._read(), values, secret)

    def _error(self, job: str, error: Exception, hint: str, secrets: list[Any]) -> TemplateError:
        from .masking import Masked, conceal, texts_in

        line = _line(error)
        where = f", line {line}" if line else ""
        problem = conceal(describe(error), Masked(self._read(), list(texts_in(secrets))))
        return TemplateError(
            f"{self.owner}: {self.place} cannot be filled in for job {job!r}{where}: "
            f"{problem}{hint}"
        )


def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    environment.filters["quote"] = _quote
    return environment


def plain_names(text: str) -> frozenset[str] | None:
    """Give the names that a template uses; None where that takes Jinja2 to say.

    What is left beside expressions that are certainly well-formed has to be text alone.

    :param text: the template.
    """
    names = frozenset(re.findall(_PLAIN, text, re.ASCII))
    if any(map(iskeyword, names)) or names & _CONSTANTS:
        return None
    rest = re.sub(_PLAIN, "", text, flags=re.ASCII)
    return None if any(mark in rest for mark in _MARKS) else names


async def gather(
    template: Template,
    job: str,
    links: Mapping[str, Repository],
    others: Mapping[str, Any],
) -> dict[str, Any]:
    """Look up what a template names: what repositories say about a job, and nothing else.

    :param template: a template that is loaded.
    :param job: the job.
    :param links: the repositories by the names of their links.
    :param others: what else has a name; it is used as it is, and goes before a link.
    """
    values: dict[str, Any] = {name: others[name] for name in template.names & others.keys()}
    wanted = sorted((template.names & links.keys()) - values.keys())
    if len(wanted) == 1:
        values[wanted[0]] = await links[wanted[0]].info(job)
    elif wanted:
        found = await asyncio.gather(*(links[name].info(job) for name in wanted))
        values.update(zip(wanted, found, strict=True))
    return values


def _quote(value: object) -> str:
    import shlex

    return shlex.quote(str(value))


def _line(error: BaseException) -> int | None:
    """Find the line of the template that an error came from; Jinja2 rewrites the traceback."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
