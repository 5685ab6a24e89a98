"""Redaction of secret values in rendered templates and messages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import jinja2
    from jinja2 import nodes

__all__ = ["REDACTED", "Redacted", "iter_strings", "redact", "redact_message"]

REDACTED = "<hidden>"

_FRAGMENT_LENGTH = 6
"""The minimum length of a part of a secret that is redacted anywhere in a message. A shorter secret
is redacted only as a whole word, because it may occur in any text by chance."""


@dataclass(frozen=True)
class Redacted:
    """A text with redacted parts.

    :param text: the text. It has as many lines as the original.
    :param secrets: the redacted texts.
    """

    text: str
    secrets: Collection[str] = ()


def redact(
    environment: jinja2.Environment, source: str, values: Mapping[str, Any], secret: Collection[str]
) -> Redacted:
    """Render a template, and redact every expression that may reveal a secret value.

    These are the expressions that use a secret name, or a name that the template itself defines,
    which may be derived from one. The text of the template and the branches taken are shown.

    :param environment: an environment that is not used for anything else; it is modified.
    :param source: the template.
    :param values: the values of its names.
    :param secret: the names of secret values.
    """
    from jinja2 import nodes

    tree = environment.parse(source)
    elsewhere = nodes.CallBlock, nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends
    if any(tree.find(kind) is not None for kind in elsewhere):  # their output cannot be traced
        return Redacted(REDACTED, [environment.from_string(source).render(values)])
    secrets: list[str] = []

    def redacted(value: object) -> str:
        text = str(value)
        secrets.append(text)
        return re.sub(r"\S.*", REDACTED, text)

    environment.filters[REDACTED] = redacted
    shown = values.keys() - set(secret) - _defined(tree)
    for output in tree.find_all(nodes.Output):
        output.nodes = [
            node if _names(node) <= shown else _redact_node(node) for node in output.nodes
        ]
    for block in tree.find_all(nodes.FilterBlock):
        if not _names(block.filter) <= shown:
            block.filter = _redact_node(block.filter)
    tree.set_environment(environment)
    return Redacted(environment.from_string(tree).render(values), secrets)


def _redact_node(node: nodes.Expr) -> nodes.Filter:
    from jinja2 import nodes

    return nodes.Filter(node, REDACTED, [], [], None, None, lineno=node.lineno)


def _names(node: nodes.Node) -> set[str]:
    from jinja2 import nodes

    own = {node.name} if isinstance(node, nodes.Name) else set()
    return own | {inner.name for inner in node.find_all(nodes.Name)}


def _defined(tree: nodes.Template) -> set[str]:
    from jinja2 import nodes

    macros = {macro.name for macro in tree.find_all(nodes.Macro)}
    return macros | {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}


def iter_strings(value: object) -> Iterator[str]:
    """Iterate over the texts and numbers in a value, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from iter_strings(key)
            yield from iter_strings(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from iter_strings(inner)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def redact_message(message: str, redacted: Redacted) -> str:
    """Redact the secrets of a text, and parts of them, in another program's message.

    :param message: the message.
    :param redacted: the text. Parts that also occur in it are not redacted.
    """
    covered = [False] * len(message)
    fragments: set[str] = set()
    for secrets in redacted.secrets:
        text = " ".join(secrets.split())  # messages collapse whitespace
        fragments.update(
            text[i : i + _FRAGMENT_LENGTH] for i in range(len(text) - _FRAGMENT_LENGTH + 1)
        )
        if text and len(text) < _FRAGMENT_LENGTH and text not in redacted.text:
            for inner in re.finditer(rf"(?<!\w){re.escape(text)}(?!\w)", message):
                covered[inner.start() : inner.end()] = [True] * len(text)
    for start in range(len(message) - _FRAGMENT_LENGTH + 1):
        fragment = message[start : start + _FRAGMENT_LENGTH]
        if fragment in fragments and fragment not in redacted.text:
            covered[start : start + _FRAGMENT_LENGTH] = [True] * _FRAGMENT_LENGTH
    runs = groupby(zip(covered, message, strict=True), lambda pair: pair[0])
    return "".join(REDACTED if hides else "".join(c for _, c in run) for hides, run in runs)
