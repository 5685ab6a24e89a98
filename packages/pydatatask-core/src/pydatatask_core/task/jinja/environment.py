"""The Jinja2 environment of templates, in which names and attributes mean data only.

A template is part of the pipeline's program, so it may call methods (``job.upper()``) and Jinja2's
own functions (``range(3)``). A name without a call is data: ``x.items`` is the key ``items`` of a
mapping, although mappings have a method of that name.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import ItemsView, KeysView, Mapping, ValuesView
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import jinja2
from jinja2 import nodes
from jinja2.defaults import DEFAULT_NAMESPACE
from jinja2.filters import do_indent, do_mark_safe, do_tojson, do_trim, make_attrgetter
from jinja2.utils import Joiner, object_type_repr
from jinja2.visitor import NodeTransformer

from pydatatask_core.task.rendered import (
    VALUE_TYPES,
    Literal,
    RenderedText,
    joined,
    printed,
    quote,
    to_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["AbsentValue", "DataEnvironment", "UnprintableError"]

_Node = TypeVar("_Node", bound=nodes.Node)

_METHOD = "<method>"
_TEXT = "<text>"
_PRINTED = "<printed>"
_LITERAL = "<literal>"
_JOINED = "<joined>"
_CALLED = "<called>"
_FUNCTION = "jinja2_function_"
"""The prefix of Jinja2's own functions, added to their names in calls when a template is parsed."""

MAX_NAMED_KEYS = 20

_SCALARS = frozenset({str, int, float, bool}) | VALUE_TYPES | {Literal, RenderedText}
"""Types of values that have a text and no attributes that are data."""

_NO_FIELDS = _SCALARS | {type(None), complex, bytes, list, tuple, set, frozenset}
"""Types of values whose attributes are not data, such as ``real`` of a number."""

_TEXT_FILTERS = frozenset(
    {
        *("capitalize", "center", "e", "escape", "forceescape", "indent", "lower", "quote"),
        *("replace", "string", "striptags", "title", "trim", "truncate", "upper", "urlencode"),
        *("urlize", "wordcount", "wordwrap"),
    }
)
"""Filters that convert any value to a text, even None."""

_PRINTING_ARGUMENTS = frozenset({"default", "d", "join"})
"""Filters whose arguments may become part of the result."""


class UnprintableError(ValueError):
    """Printing of a value that has no text, or only an unintended one."""


class AbsentValue(dict[str, Any]):
    """The empty mapping returned for a job that a repository does not contain."""


class _Undefined(jinja2.StrictUndefined):
    """An undefined value that raises on any use, even inside a list that is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class _Joiner(Joiner):
    def __call__(self) -> str:
        return super().__call__() or Literal()


class DataEnvironment(jinja2.Environment):
    """An environment in which names and attributes mean data.

    :param delimiters: Jinja2's keyword arguments for the delimiters of blocks, variables and
        comments.
    """

    def __init__(self, delimiters: Mapping[str, str]) -> None:
        super().__init__(
            undefined=_Undefined,
            keep_trailing_newline=True,
            autoescape=False,
            **delimiters,  # type: ignore[arg-type] # mypy requires each keyword
        )
        functions = {**DEFAULT_NAMESPACE, "joiner": _Joiner}.items()
        self.globals = {_FUNCTION + name: function for name, function in functions}
        own = {_METHOD: self._method, _TEXT: _checked, "attr": self.getattr}
        pieces = {_PRINTED: _printed, _LITERAL: Literal, _JOINED: joined, _CALLED: _called}
        self.filters.update(own, **pieces, quote=quote, join=_join, raw=_raw, tojson=_tojson)
        self.filters.update(indent=_indent, trim=_trim, safe=_safe)

    @staticmethod
    def concat(parts: Iterable[str]) -> str:
        """Join the output of a template, macro or block; called by code that Jinja2 generates."""
        return RenderedText(parts)

    def parse(
        self, source: str, name: str | None = None, filename: str | None = None
    ) -> nodes.Template:
        """Parse a template, with calls distinguished from data and with printed values checked.

        :param source: the template.
        :param name: as in Jinja2.
        :param filename: as in Jinja2.
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
        for used in tree.find_all(nodes.Filter):
            if used.name in _TEXT_FILTERS and used.node is not None:
                used.node = _filter(used.node, _TEXT, [], used.lineno)
            elif used.name == "format":
                used.args = [_filter(value, _TEXT, [], used.lineno) for value in used.args]
        _Origins().visit(tree)
        tree.set_environment(self)
        return tree

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return the data of a value under a name, or undefined: ``obj.attribute``."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an item of a value, else an attribute, or undefined: ``obj[argument]``."""
        if not isinstance(obj, type):  # a class may support subscription, as `list[int]` does
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
                f"{object_type_repr(obj)!r} has no value {name!r}, but a method; call it as "
                f"`{name}()`"
            )
        plain = type(obj) in _NO_FIELDS or isinstance(obj, Mapping)
        return missing if plain else value

    def _method(self, obj: Any, name: str) -> Any:
        """Return the method called by ``obj.name(...)``."""
        if not name.startswith("_"):
            method = getattr(obj, name, None)
            if callable(method):
                return method
        return self.getattr(obj, name)


class _Origins(NodeTransformer):
    """Rewrites a template so that the origin of each printed text is known."""

    def visit_Output(self, node: nodes.Output) -> nodes.Output:
        self.generic_visit(node)
        node.nodes = [
            part if isinstance(part, nodes.TemplateData) else _traced(part) for part in node.nodes
        ]
        return node

    def visit_FilterBlock(self, node: nodes.FilterBlock) -> nodes.FilterBlock:
        self.generic_visit(node)
        node.filter = _traced(node.filter)
        return node

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.CallBlock:
        self.generic_visit(node)
        line: list[nodes.Expr] = [nodes.Const(node.lineno, lineno=node.lineno)]
        node.call.node = _filter(node.call.node, _CALLED, line, node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        texts: list[nodes.Expr] = [_filter(part, _TEXT, [], part.lineno) for part in node.nodes]
        return _filter(nodes.List(texts, lineno=node.lineno), _JOINED, [], node.lineno)

    def visit_Const(self, node: nodes.Const) -> nodes.Expr:
        literal = isinstance(node.value, str)
        return _filter(node, _LITERAL, [], node.lineno) if literal else node

    def visit_Filter(self, node: nodes.Filter) -> nodes.Filter:
        if node.name in _PRINTING_ARGUMENTS:
            self.generic_visit(node)
            return node
        return self._visit_inside(node)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Getitem:
        return self._visit_inside(node)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        return self._visit_inside(node)

    def visit_Operand(self, node: nodes.Operand) -> nodes.Operand:
        return self._visit_inside(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Test:
        return self._visit_inside(node)

    def _visit_inside(self, node: _Node) -> _Node:
        """Visit the parts of a node except constants, which the node does not print."""
        for name, value in node.iter_fields():
            if isinstance(value, list):
                setattr(node, name, [self._visit_part(part) for part in value])
            else:
                setattr(node, name, self._visit_part(value))
        return node

    def _visit_part(self, part: Any) -> Any:
        constant = not isinstance(part, nodes.Node) or isinstance(part, nodes.Const)
        return part if constant else self.visit(part)


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


def _traced(node: Any) -> nodes.Filter:
    return _filter(node, _PRINTED, [nodes.Const(node.lineno, lineno=node.lineno)], node.lineno)


def _checked(value: object) -> object:
    """Return a value unchanged if it can be printed.

    :raises UnprintableError: if it has no text, or only an unintended one.
    """
    if type(value) not in _SCALARS:
        problem = _problem(value)
        if problem is not None:
            raise UnprintableError(problem)
    return value


def _problem(value: object) -> str | None:
    if value is None:
        return "the value is None, which has no text; `default(..., true)` replaces it"
    if isinstance(value, bytes | bytearray | memoryview):
        return "the value is bytes, which have no text; `.decode()` converts them"
    if isinstance(value, AbsentValue):
        return "the job has no value there; `default(..., true)` replaces it"
    return _problem_inside(value)


def _problem_inside(value: object) -> str | None:
    """Return why a value cannot be printed; it may contain None and bytes."""
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises
    if isinstance(value, dict):
        return _first_problem((*value.keys(), *value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return _first_problem(value)
    name = "class" if inspect.isclass(value) else type(value).__name__
    kind = f"the value is a {name}, which has no text"
    if isinstance(value, KeysView | ValuesView | ItemsView | range):
        return f"{kind}; `list` or `join(' ')` converts it"
    if type(value).__str__ is not object.__str__:
        return None
    if callable(value):
        return f"{kind}; call it, as in `name()`"
    return kind if repr(value).startswith("<") else None


def _first_problem(values: Iterable[object]) -> str | None:
    return next((problem for problem in map(_problem_inside, values) if problem), None)


def _printed(value: object, line: int) -> str:
    return printed(_checked(value), line)


@jinja2.pass_context
def _called(context: Any, function: Any, line: int) -> Callable[..., str]:
    """Return the function of a ``{% call %}``, wrapped so that its result counts as printed."""
    return lambda *args, **kwargs: _printed(context.call(function, *args, **kwargs), line)


def _raw(value: object) -> Literal:
    return Literal(str(_checked(value)))


@jinja2.pass_eval_context
def _tojson(context: nodes.EvalContext, value: Any, indent: int | None = None) -> str:
    return to_json(do_tojson(context, value, indent))


@jinja2.pass_eval_context
def _join(
    context: nodes.EvalContext,
    value: Iterable[Any],
    d: str = "",
    attribute: str | int | None = None,
) -> str:
    if attribute is not None:
        value = map(make_attrgetter(context.environment, attribute), value)
    return joined(map(_checked, value), d)


def _safe(value: Any) -> Any:
    """Return the text unchanged: nothing is escaped here, and ``tojson | safe`` is still JSON."""
    return value if type(value) in VALUE_TYPES else do_mark_safe(value)


def _indent(s: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    return _keeping_origins(
        s,
        lambda text: do_indent(text, width, first, blank),
        lambda value: do_indent(value, width, False, blank),
    )


def _trim(value: Any, chars: str | None = None) -> str:
    return _keeping_origins(value, lambda text: do_trim(text, chars), str)


def _keeping_origins(
    text: Any, change: Callable[[Any], str], change_value: Callable[[str], str]
) -> str:
    """Change the whitespace of a text and keep the origins of its pieces."""
    changed = change(text)
    if not isinstance(text, RenderedText):
        return changed
    pieces = text.values
    word = _free_word(text)
    parts = change(text.with_words([word] * len(pieces))).split(word)
    kept = [parts[0]]
    for piece, after in zip(pieces, parts[1:], strict=False):
        kept += [printed(type(piece)(change_value(str.__str__(piece))), piece.line), after]
    rendered = RenderedText(kept)
    return rendered if rendered == changed else changed


def _free_word(text: str) -> str:
    """Return a word that does not occur in a text."""
    word = "value"
    while word in text:
        word += "_"
    return word
