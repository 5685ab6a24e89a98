"""Templates of scripts and manifests, which refer to a job and to the links of a task."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from functools import cached_property
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, Literal

from pydatatask_core.errors import TemplateError, describe

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import jinja2

    from pydatatask_core.repository.base import Repository

    from .jinja.environment import DataEnvironment
    from .jinja.quotes import QuotingCheck
    from .rendered import RenderedText

__all__ = ["Quoting", "TaskTemplate", "Template", "plain_names", "read_values"]

Quoting = Literal["warn", "strict", "off"]
"""The reaction to a printed value in a script that the shell may interpret as code."""

_PLAIN = r"(?<![{$])\{\{\s*([A-Za-z_]\w*)(?:\s*\.\s*[A-Za-z_]\w*)*\s*(?:\|\s*quote\s*)?\}\}"
"""An expression that is only a name, perhaps with attributes, and perhaps quoted."""

_MARKS = ("{{", "{%", "{#")
_CONSTANTS = frozenset({"true", "false", "none", "self", "super"})
_REMEDY = (
    "if it is not meant for Jinja2, put it between `{% raw %}` and `{% endraw %}`, or choose other "
    "delimiters with `pydatatask.Template`"
)


class Template:
    """The Jinja2 template of a script or manifest, with its own delimiters.

    Pass it to a task instead of the text if the default delimiters conflict with it, such as
    ``{#`` in ``${#array[@]}``::

        Template(
            "for x in {{ inp.words | map('quote') | join(' ') }}; do echo ${#x}; done",
            comment_start_string="<#",
            comment_end_string="#>",
        )

    :param source: the text, or a file. A path is a file; a string is one if it has no line break
        and names a file that exists when the template is read, or is a relative path with a slash.
    :param block_start_string: the beginning of a statement.
    :param block_end_string: the end of a statement.
    :param variable_start_string: the beginning of an expression.
    :param variable_end_string: the end of an expression.
    :param comment_start_string: the beginning of a comment.
    :param comment_end_string: the end of a comment.
    :raises TypeError: if a delimiter is not a string, or the source neither a string nor a path.
    :raises ValueError: if a delimiter is empty, or two beginnings are the same.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        block_start_string: str = "{%",
        block_end_string: str = "%}",
        variable_start_string: str = "{{",
        variable_end_string: str = "}}",
        comment_start_string: str = "{#",
        comment_end_string: str = "#}",
    ) -> None:
        if not isinstance(source, str | os.PathLike):
            raise TypeError(f"a template has to be a string or a path, not {source!r}")
        self.source = source
        self.delimiters = {
            "block_start_string": block_start_string,
            "block_end_string": block_end_string,
            "variable_start_string": variable_start_string,
            "variable_end_string": variable_end_string,
            "comment_start_string": comment_start_string,
            "comment_end_string": comment_end_string,
        }
        for name, delimiter in self.delimiters.items():
            if not isinstance(delimiter, str):
                raise TypeError(f"{name} of a template has to be a string, not {delimiter!r}")
            if not delimiter:
                raise ValueError(f"{name} of a template is empty")
        starts = block_start_string, variable_start_string, comment_start_string
        if len(set(starts)) < len(starts):
            raise ValueError(
                "statements, expressions and comments of a template have to begin with different "
                "delimiters, not {!r}, {!r} and {!r}".format(*starts)
            )

    def __repr__(self) -> str:
        return f"Template({self.source!r})"


_DEFAULT_DELIMITERS = Template("").delimiters


class TaskTemplate:
    """A template of a task, read and compiled on first use.

    Undefined names and values are errors, never an empty string. The filter ``quote`` converts a
    value to one shell word.

    :param template: the template, or its text or path, as for :class:`Template`.
    :param owner: the name of the task, for messages.
    :param quoting: the check of values that are printed into scripts.
    :raises TemplateError: if ``template`` has another type.
    """

    def __init__(
        self,
        template: str | os.PathLike[str] | Template,
        owner: str,
        quoting: Quoting = "warn",
    ) -> None:
        if not isinstance(template, str | os.PathLike | Template):
            raise TemplateError(
                f"{owner}: the template has to be a string, a path or a Template, not {template!r}"
            )
        template = template if isinstance(template, Template) else Template(template)
        self.source = template.source
        self.owner = owner
        self.label = "its template"
        self._delimiters = template.delimiters
        self._text: str | None = None
        self._compiled: jinja2.Template | None = None
        self._loading = threading.Lock()
        self._required: dict[str, int] = {}
        self._reserved: frozenset[str] = frozenset()
        self._quoting = quoting
        self._quoting_check: QuotingCheck | None = None
        self.names: frozenset[str] = frozenset()
        """The names that it uses and does not define; known once it is checked or loaded."""

    async def check(self) -> None:
        """Read the template and check its syntax, if not done yet.

        This is sufficient if nothing is launched. It avoids Jinja2 for templates in which Jinja2
        could not find an error, because importing it and compiling the template takes a fifth of
        the start of a pipeline that has nothing to do.

        :raises TemplateError: if it cannot be read, or has a syntax error.
        """
        if self._compiled is None:
            await asyncio.to_thread(self._check)

    def _check(self) -> None:
        text = self.text
        names = plain_names(text) if self._delimiters == _DEFAULT_DELIMITERS else None
        if names is None:
            self._load()
        else:
            self.names = names
            for match in reversed(list(re.finditer(_PLAIN, text, re.ASCII))):
                self._required[match[1]] = text.count("\n", 0, match.start()) + 1

    def require_known(self, own: Collection[str], links: Collection[str]) -> None:
        """Check that every name that the checked template requires is defined.

        :param own: the defined names other than links.
        :param links: the names of links.
        :raises TemplateError: naming the names that are never defined, with their lines.
        """
        known = {*own, *links}
        hidden = sorted(self._reserved & (known - {"job", "task"}))
        if hidden:
            raise TemplateError(
                f"{self.owner}: {self.label} uses {_listed(hidden)}, which is a reserved name of "
                "Jinja2; rename the link or value of that name"
            )
        unknown = {name: line for name, line in self._required.items() if name not in known}
        if unknown:
            used = [f"`{name}` (line {line})" for name, line in sorted(unknown.items())]
            raise TemplateError(
                f"{self.owner}: {self.label} uses {', '.join(used)}, which is neither "
                f"{_listed(own)} nor a link; its links are {_listed(sorted(links))}. A name "
                "that may be undefined needs `is defined` or `default`; " + _REMEDY
            )

    @property
    def names_interpreter(self) -> bool:
        """True if the template, which is checked or loaded, begins with a line ``#!``."""
        return (self._text or "").lstrip().startswith("#!")

    async def load(self) -> None:
        """Read and compile the template, if not done yet.

        :raises TemplateError: if it cannot be read, or has a syntax error.
        """
        if self._compiled is None:
            await asyncio.to_thread(self._load)

    def _load(self) -> None:
        with self._loading:  # the first launches run concurrently
            if self._compiled is None:
                self._compile(self.text)

    def _compile(self, text: str) -> None:
        import jinja2

        from .jinja.analysis import TemplateTrapError, analyze

        environment = self._environment()
        try:
            result = analyze(environment, text)
            self.names, self._required = result.names, result.required
            self._reserved = result.reserved
            self._compiled = environment.from_string(environment.parse(text))
        except jinja2.TemplateSyntaxError as e:
            raise TemplateError(
                f"{self.owner}: {self.label} has a syntax error, line {e.lineno}: {e.message}; "
                + _REMEDY
            ) from e
        except TemplateTrapError as e:
            raise TemplateError(
                f"{self.owner}: {self.label} has an unintended effect, line {e.line}: {e}; "
                f"{_REMEDY}"
            ) from e

    def _environment(self) -> DataEnvironment:
        from .jinja.environment import DataEnvironment

        return DataEnvironment(self._delimiters)

    @property
    def text(self) -> str:
        """The text of the template, read on first use."""
        if self._text is None:
            from .jinja.source import read_source

            self.label, self._text = read_source(self.source, self.owner)
        return self._text

    def render(
        self,
        job: str,
        values: Mapping[str, Any],
        known: Iterable[str],
        secret: Collection[str] = (),
    ) -> RenderedText:
        """Return the rendered template, with the origin of each piece.

        :param job: the job, for messages.
        :param values: the values of its names.
        :param known: every available name, for messages.
        :param secret: the names of values that messages must not contain.
        :raises TemplateError: naming the job, the line, the expression and the problem.
        """
        assert self._compiled is not None
        try:
            text: Any = self._compiled.render(values)  # created by `DataEnvironment.concat`
        except Exception as e:  # noqa: BLE001 - raised again as a TemplateError
            secrets = [values[name] for name in secret if name in values]
            raise self._error(job, e, known, secrets) from (None if secrets else e)
        return text  # type: ignore[no-any-return]

    def render_script(self, job: str, values: Mapping[str, Any], known: Iterable[str]) -> bytes:
        """Render the template of a script, so that a ``#!`` comes first if there is one.

        :param job: the job, for messages.
        :param values: the values of its names.
        :param known: every available name, for messages.
        :raises TemplateError: as :meth:`render`, if a character cannot be encoded in UTF-8, and if
            quoting is strict and a value may be interpreted as code.
        """
        rendered = self.render(job, values, known)
        self._check_quoting(rendered, job)
        text: str = rendered
        if text.lstrip().startswith("#!"):
            text = text.lstrip()
        try:
            return text.encode(errors="surrogateescape")  # paths may contain escaped bytes
        except UnicodeEncodeError as e:
            raise TemplateError(
                f"{self.owner}: {self.label}, rendered for job {job!r}, contains "
                f"{text[e.start]!r}, which is not a valid character"
            ) from e

    def _check_quoting(self, text: RenderedText, job: str) -> None:
        if self._quoting_check is None:
            from .jinja.quotes import QuotingCheck

            about = f"{self.owner}: {self.label}"
            self._quoting_check = QuotingCheck(about, self._quoting, self.describe_line)
        self._quoting_check.check(text, job)

    def describe_line(self, line: int) -> str:
        """Return a line of the template and its expressions, to append to a message.

        :param line: the number of the line; 0 if it is not known.
        """
        where = f", line {line}" if line else ""
        tags = ", ".join(f"`{tag}`" for first, last, tag in self._tags if first <= line <= last)
        return where + (f", in {tags}" if tags else "")

    def _error(
        self, job: str, error: Exception, known: Iterable[str], secrets: list[Any]
    ) -> TemplateError:
        from jinja2 import UndefinedError

        from .redaction import find_secrets, redact_message

        where = self.describe_line(_line(error) or 0)
        undefined = isinstance(error, UndefinedError)
        hint = f"; defined names: {', '.join(sorted(known))}" if undefined else ""
        problem = redact_message(describe(error), find_secrets(secrets), self.text)
        return TemplateError(
            f"{self.owner}: {self.label} cannot be rendered for job {job!r}{where}: {problem}{hint}"
        )

    @cached_property
    def _tags(self) -> list[tuple[int, int, str]]:
        """The expressions and statements, with their first and last lines."""
        from .jinja.analysis import find_tags

        return list(find_tags(self._environment(), self.text))


def plain_names(text: str) -> frozenset[str] | None:
    """Return the names that a template uses, or None if only Jinja2 can find them.

    The text apart from expressions that are certainly valid must not contain any delimiter.

    :param text: the template.
    """
    names = frozenset(re.findall(_PLAIN, text, re.ASCII))
    if any(map(iskeyword, names)) or names & _CONSTANTS:
        return None
    rest = re.sub(_PLAIN, "", text, flags=re.ASCII)
    return None if any(mark in rest for mark in _MARKS) else names


async def read_values(
    template: TaskTemplate,
    job: str,
    links: Mapping[str, Repository],
    others: Mapping[str, Any],
) -> dict[str, Any]:
    """Read the values of the names in a template: of links, the value of the job in them.

    :param template: a loaded template.
    :param job: the job.
    :param links: the repositories by link name.
    :param others: the values of other names; they are used unchanged and override links.
    """
    values: dict[str, Any] = {name: others[name] for name in template.names & others.keys()}
    wanted = sorted((template.names & links.keys()) - values.keys())
    if len(wanted) == 1:
        values[wanted[0]] = await _value(links[wanted[0]], job)
    elif wanted:
        result = await asyncio.gather(*(_value(links[name], job) for name in wanted))
        values.update(zip(wanted, result, strict=True))
    return values


async def _value(repo: Repository, job: str) -> Any:
    """Return the info of a job in a repository.

    An empty mapping may also mean that the job is absent, which must not be printed as a value.
    """
    value = await repo.info(job)
    if isinstance(value, dict) and not value and not await repo.contains(job):
        from .jinja.environment import AbsentValue

        return AbsentValue()
    return value


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _line(error: BaseException) -> int | None:
    """Return the template line that raised an error; Jinja2 rewrites the traceback."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
