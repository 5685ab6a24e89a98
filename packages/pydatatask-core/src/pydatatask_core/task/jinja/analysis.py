"""The checks of a template that do not need a job: its names and its braces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jinja2
from jinja2 import meta, nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Analysis", "TemplateTrapError", "analyze", "find_tags"]

_RESERVED = frozenset(
    {
        *("true", "false", "none", "True", "False", "None"),
        *("self", "super", "loop", "caller", "varargs", "kwargs"),
    }
)
"""Reserved names of Jinja2."""

_BEGINNINGS = {
    "comment_begin": "a comment, which deletes everything up to the next `#}`",
    "variable_begin": "an expression, whose value follows the `$`; write `{{ '$' ~ x }}` for that",
    "block_begin": "a statement",
}

_ELSEWHERE = nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends


class TemplateTrapError(Exception):
    """A valid template with an effect that is probably not intended.

    :param problem: the problem.
    :param line: the line.
    """

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.line = line


@dataclass(frozen=True)
class Analysis:
    """The names in a template.

    :param names: the names that it uses and does not define.
    :param required: the names that have to be defined, with the line of their first use: the
        template neither tests them, nor provides a default, nor assigns them.
    :param reserved: the reserved names of Jinja2 in it.
    """

    names: frozenset[str]
    required: dict[str, int]
    reserved: frozenset[str]


def analyze(environment: jinja2.Environment, text: str) -> Analysis:
    """Find the names in a template, and check its braces.

    :param environment: the environment of the template.
    :param text: the template.
    :raises jinja2.TemplateSyntaxError: if it has a syntax error.
    :raises TemplateTrapError: if a part of it has an effect that is probably not intended.
    """
    words = _check_tokens(environment, text)
    tree = environment.parse(text)
    for kind in _ELSEWHERE:
        result = tree.find(kind)
        if result is not None:
            raise TemplateTrapError(
                "a template is a single text and cannot load another one", result.lineno
            )
    _check_functions(environment, tree)
    names = frozenset(meta.find_undeclared_variables(tree))
    assigned = _assigned(tree)
    _replace_safe_names(tree, frozenset())
    required = meta.find_undeclared_variables(tree) - assigned
    lines: dict[str, int] = {}
    for name in tree.find_all(nodes.Name):
        if name.name in required:
            lines[name.name] = min(name.lineno, lines.get(name.name, name.lineno))
    return Analysis(names, lines, frozenset(words & _RESERVED))


def _check_functions(environment: jinja2.Environment, tree: nodes.Template) -> None:
    """Check that all filters and tests exist; inside an `if`, Jinja2 would check at run time."""
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        is_filter = isinstance(node, nodes.Filter)
        if node.name not in (environment.filters if is_filter else environment.tests):
            kind = "filter" if is_filter else "test"
            raise jinja2.TemplateAssertionError(f"No {kind} named {node.name!r}.", node.lineno)


def find_tags(environment: jinja2.Environment, text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the expressions and statements of a template with their first and last lines.

    :param environment: the environment of the template.
    :param text: the template, without syntax errors.
    """
    first, parts = 0, list[str]()
    for line, kind, value in environment.lex(text):
        if kind in ("variable_begin", "block_begin"):
            first, parts = line, []
        parts.append(value)
        if kind in ("variable_end", "block_end"):
            yield first, line, "".join(parts).strip()


def _check_tokens(environment: jinja2.Environment, text: str) -> set[str]:
    """Check that no tag looks like shell syntax, and return the words in the tags."""
    words: set[str] = set()
    before = ""
    for line, kind, value in environment.lex(text):
        # A tag that begins with `{{-` strips whitespace, so the `$` may not be next to it.
        if kind in _BEGINNINGS and before.endswith("$") and value[0] == "{" and value[-1] != "-":
            problem = f"in `${value}`, Jinja2 interprets `{value}` as the beginning of "
            raise TemplateTrapError(problem + _BEGINNINGS[kind], line)
        if kind == "comment" and "\n" in value and value[0].isalnum():
            raise TemplateTrapError(
                f"`{{#{value.split()[0]}` begins a comment, which deletes everything up to the "
                "next `#}` in another line; begin a comment of several lines with a space",
                line,
            )
        if kind == "name":
            words.add(value)
        before = value if kind == "data" else ""
    return words


def _assigned(tree: nodes.Template) -> set[str]:
    """Return the names that a template assigns in at least one branch."""
    result = {macro.name for macro in tree.find_all(nodes.Macro)}
    targets = [assignment.target for assignment in tree.find_all(nodes.Assign)]
    targets += [assignment.target for assignment in tree.find_all(nodes.AssignBlock)]
    for target in targets:
        result |= {name.name for name in target.find_all(nodes.Name)}
        if isinstance(target, nodes.Name):
            result.add(target.name)
    return result


# -- names that are tested before they are used ----------------------------------------------------


def _replace_safe_names(node: nodes.Node, safe: frozenset[str]) -> nodes.Node:
    """Replace every use of a name that may be undefined there, or is known to be defined."""
    if isinstance(node, nodes.Name):
        return _constant_none(node) if node.ctx == "load" and node.name in safe else node
    if _tested_name(node) is not None:
        return _constant_none(node)
    if isinstance(node, nodes.Filter) and node.name in ("default", "d"):
        node.node = _constant_none(node) if isinstance(node.node, nodes.Name) else node.node
    if isinstance(node, nodes.If):
        _replace_in_branches(node, safe)
        return node
    inside = {name: safe | facts for name, facts in _facts(node).items()}
    for name, value in node.iter_fields():
        known = inside.get(name, safe)
        if isinstance(value, nodes.Node):
            setattr(node, name, _replace_safe_names(value, known))
        elif isinstance(value, list):
            setattr(node, name, [_replace_in(item, known) for item in value])
    return node


def _replace_in(item: object, safe: frozenset[str]) -> object:
    return _replace_safe_names(item, safe) if isinstance(item, nodes.Node) else item


def _replace_in_branches(node: nodes.If, safe: frozenset[str]) -> None:
    otherwise = safe
    for branch in (node, *node.elif_):
        known = otherwise | _defined_if(branch.test, True)
        after = otherwise | _defined_if(branch.test, False)
        branch.test = _replace_safe_names(branch.test, otherwise)
        branch.body = [_replace_safe_names(item, known) for item in branch.body]
        otherwise = after
    node.else_ = [_replace_safe_names(item, otherwise) for item in node.else_]


def _facts(node: nodes.Node) -> dict[str, frozenset[str]]:
    """Return the names known to be defined in each field of a node."""
    if isinstance(node, nodes.CondExpr):
        return {"expr1": _defined_if(node.test, True), "expr2": _defined_if(node.test, False)}
    if isinstance(node, nodes.And | nodes.Or):
        return {"right": _defined_if(node.left, isinstance(node, nodes.And))}
    if isinstance(node, nodes.For) and node.test is not None:
        return {"body": _defined_if(node.test, True)}
    return {}


def _defined_if(test: nodes.Node, outcome: bool) -> frozenset[str]:
    """Return the names that are defined if a test has the given outcome."""
    name = _tested_name(test)
    if name is not None and isinstance(test, nodes.Test):
        return frozenset({name}) if (test.name == "defined") == outcome else frozenset()
    if isinstance(test, nodes.Not):
        return _defined_if(test.node, not outcome)
    if isinstance(test, nodes.And | nodes.Or):
        left, right = _defined_if(test.left, outcome), _defined_if(test.right, outcome)
        return left | right if isinstance(test, nodes.And) == outcome else left & right
    return frozenset()


def _tested_name(node: nodes.Node) -> str | None:
    """Return the name whose definition a node tests."""
    if isinstance(node, nodes.Test) and node.name in ("defined", "undefined"):
        return node.node.name if isinstance(node.node, nodes.Name) else None
    return None


def _constant_none(node: nodes.Node) -> nodes.Const:
    return nodes.Const(None, lineno=node.lineno)
