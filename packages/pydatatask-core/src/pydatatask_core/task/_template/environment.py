"""The Jinja2 environment of templates: its names and attributes are data, never Python's.

A template is part of the pipeline's program, so it may call methods (``job.upper()``) and Jinja2's
own functions (``range(3)``). A name without a call is data: ``x.items`` is the key ``items`` of a
mapping, also where mappings have a method of that name.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import ItemsView, KeysView, Mapping, ValuesView
from itertools import islice
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import nodes
from jinja2.defaults import DEFAULT_NAMESPACE
from jinja2.filters import do_join, make_attrgetter
from jinja2.utils import object_type_repr

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["AbsentValue", "DataEnvironment", "UnprintableError"]

_METHOD = "<method>"
_TEXT = "<text>"
_FUNCTION = "jinja2_function_"
"""The prefix of the names under which Jinja2's own functions are known, once a call is parsed."""

MAX_NAMED_KEYS = 20

_SCALARS = frozenset({str, int, float, bool})
_NO_FIELDS = _SCALARS | {type(None), complex, bytes, list, tuple, set, frozenset}
"""Types of values whose attributes are no data, such as ``real`` of a number."""

_TEXT_FILTERS = frozenset(
    {
        *("capitalize", "center", "e", "escape", "forceescape", "indent", "lower", "quote"),
        *("replace", "string", "striptags", "title", "trim", "truncate", "upper", "urlencode"),
        *("urlize", "wordcount", "wordwrap"),
    }
)
"""Filters that make a text of anything, also of None."""


class UnprintableError(ValueError):
    """A template prints a value that has no text, or none that can be meant."""


class AbsentValue(dict[str, Any]):
    """The empty mapping that stands for the value of a job which a repository does not have."""


class _Undefined(jinja2.StrictUndefined):
    """Undefined wherever it is used, in a list that is printed as well."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class DataEnvironment(jinja2.Environment):
    """An environment in which a template sees data.

    :param delimiters: the keywords of Jinja2 that set how blocks, variables and comments begin
        and end.
    """

    def __init__(self, delimiters: Mapping[str, str]) -> None:
        super().__init__(
            undefined=_Undefined,
            keep_trailing_newline=True,
            autoescape=False,
            finalize=_checked,
            **delimiters,  # type: ignore[arg-type] # mypy wants each keyword
        )
        functions = DEFAULT_NAMESPACE.items()
        self.globals = {_FUNCTION + name: function for name, function in functions}
        own = {_METHOD: self._method, _TEXT: _checked, "attr": self.getattr}
        self.filters.update(own, quote=_quote, join=_join)

    def parse(
        self, source: str, name: str | None = None, filename: str | None = None
    ) -> nodes.Template:
        """Parse a template, so that calls differ from data and texts are checked.

        :param source: the template.
        :param name: as of Jinja2.
        :param filename: as of Jinja2.
        """
        tree = super().parse(source, name, filename)
        functions = DEFAULT_NAMESPACE.keys() - _set_names(tree)
        for call in tree.find_all(nodes.Call):
            function = call.node
            if isinstance(function, nodes.Getattr):
                method = nodes.Const(function.attr)
                call.node = _filter(function.node, _METHOD, [method], function.lineno)
            elif isinstance(function, nodes.Name) and function.name in functions:
                function.name = _FUNCTION + function.name
        for concat in tree.find_all(nodes.Concat):
            concat.nodes = [_filter(node, _TEXT, [], node.lineno) for node in concat.nodes]
        for used in tree.find_all(nodes.Filter):
            if used.name in _TEXT_FILTERS and used.node is not None:
                used.node = _filter(used.node, _TEXT, [], used.lineno)
            elif used.name == "format":
                used.args = [_filter(value, _TEXT, [], used.lineno) for value in used.args]
        tree.set_environment(self)
        return tree

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return the data that a value has under a name, or undefined: ``obj.attribute``."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an item of a value, else a field, or undefined: ``obj[argument]``."""
        if not isinstance(obj, type):  # which may be generic, as list[int] is
            with contextlib.suppress(AttributeError, TypeError, LookupError):
                return obj[argument]
        return self._field(obj, argument)

    def _field(self, obj: Any, name: Any) -> Any:
        """Return a public attribute of a value, except methods, or undefined."""
        missing = self.undefined(obj=obj, name=name)
        if isinstance(obj, AbsentValue):
            missing = self.undefined(f"the job has no value there, and so no {name!r}")
        elif isinstance(obj, Mapping):
            missing = self.undefined(
                f"{object_type_repr(obj)!r} has no attribute {name!r} ({_describe_keys(obj)})"
            )
        if not isinstance(name, str) or name.startswith("_"):
            return missing
        try:
            value = getattr(obj, name)
        except AttributeError:
            return missing
        if callable(value):
            return self.undefined(
                f"{object_type_repr(obj)!r} has no value {name!r}, but a method, which is called "
                f"as `{name}()`"
            )
        plain = type(obj) in _NO_FIELDS or isinstance(obj, Mapping)
        return missing if plain else value

    def _method(self, obj: Any, name: str) -> Any:
        """Return the function that ``obj.name(...)`` calls."""
        if not name.startswith("_"):
            method = getattr(obj, name, None)
            if callable(method):
                return method
        return self.getattr(obj, name)


def _describe_keys(value: Mapping[Any, Any]) -> str:
    """List the first keys of a mapping, for messages."""
    keys = [repr(key) for key in islice(value, MAX_NAMED_KEYS)]
    rest = len(value) - len(keys)
    return f"its keys: {', '.join(keys) or 'none'}{f' and {rest} more' if rest else ''}"


def _set_names(tree: nodes.Template) -> set[str]:
    """Return the names that a template defines itself."""
    macros = {macro.name for macro in tree.find_all(nodes.Macro)}
    return macros | {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}


def _filter(node: nodes.Expr, name: str, args: list[nodes.Expr], line: int) -> nodes.Filter:
    return nodes.Filter(node, name, args, [], None, None, lineno=line)


def _checked(value: object) -> object:
    """Return a value unchanged if it can be printed.

    :raises UnprintableError: if it has no text that can be meant.
    """
    if type(value) not in _SCALARS:
        problem = _problem(value)
        if problem is not None:
            raise UnprintableError(problem)
    return value


def _problem(value: object) -> str | None:
    if value is None:
        return (
            "the value is None, which has no text; `default(..., true)` puts another in its place"
        )
    if isinstance(value, bytes | bytearray | memoryview):
        return "the value is bytes, which have no text; `.decode()` makes one of them"
    if isinstance(value, AbsentValue):
        return "the job has no value there; `default(..., true)` puts another in its place"
    return _problem_inside(value)


def _problem_inside(value: object) -> str | None:
    """Return why the text of a value cannot be meant; None and bytes may be inside of others."""
    if isinstance(value, jinja2.Undefined):
        str(value)  # which raises
    if isinstance(value, dict):
        return _first_problem((*value.keys(), *value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return _first_problem(value)
    name = "class" if inspect.isclass(value) else type(value).__name__
    kind = f"the value is a {name}, which has no text"
    if isinstance(value, KeysView | ValuesView | ItemsView | range):
        return f"{kind}; `list` or `join(' ')` makes one of it"
    if type(value).__str__ is not object.__str__:
        return None
    if callable(value):
        return f"{kind}; call it, as in `name()`"
    return kind if repr(value).startswith("<") else None


def _first_problem(values: Iterable[object]) -> str | None:
    return next((problem for problem in map(_problem_inside, values) if problem), None)


def _quote(value: object) -> str:
    import shlex

    return shlex.quote(str(value))


@jinja2.pass_eval_context
def _join(
    context: nodes.EvalContext,
    value: Iterable[Any],
    d: str = "",
    attribute: str | int | None = None,
) -> str:
    if attribute is not None:
        value = map(make_attrgetter(context.environment, attribute), value)
    text: str = do_join(context, map(_checked, value), d)
    return text
