"""Showing a template that was filled in, without what must not be shown."""

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
"""How many characters of what is hidden are hidden wherever they stand; less than that only as a
word, since it may be found in any."""


@dataclass(frozen=True)
class Redacted:
    """A text in which something is masked.

    :param text: the text. It has as many lines as without the masks.
    :param secrets: what the masks stand for.
    """

    text: str
    secrets: Collection[str] = ()


def redact(
    environment: jinja2.Environment, source: str, values: Mapping[str, Any], secret: Collection[str]
) -> Redacted:
    """Fill in a template, with a mask for whatever may tell of secret values.

    That is each expression which names one of them, or anything that the template itself defines,
    since that may come of one, too. What the template says itself is shown, and which way it took.

    :param environment: an environment that nobody else uses.
    :param source: the template.
    :param values: what its names mean.
    :param secret: the names of secret values.
    """
    from jinja2 import nodes

    tree = environment.parse(source)
    elsewhere = nodes.CallBlock, nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends
    if any(tree.find(kind) is not None for kind in elsewhere):  # where what they write comes from
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
    """Iterate the texts and numbers in a value, however deep."""
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
    """Hide in a message of somebody else what is masked in a text, also a piece of it.

    :param message: the message.
    :param redacted: the text. Pieces that are in it, too, are not hidden.
    """
    covered = [False] * len(message)
    fragments: set[str] = set()
    for secrets in redacted.secrets:
        text = " ".join(secrets.split())  # as messages have it
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
