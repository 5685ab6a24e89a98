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

__all__ = ["MASK", "Masked", "conceal", "mask", "texts_in"]

MASK = "<hidden>"

_PIECE = 6
"""How many characters of what is hidden are hidden wherever they stand; less than that only as a
word, since it may be found in any."""


@dataclass(frozen=True)
class Masked:
    """A text in which something is masked.

    :param text: the text. It has as many lines as without the masks.
    :param hidden: what the masks stand for.
    """

    text: str
    hidden: Collection[str] = ()


def mask(
    environment: jinja2.Environment, source: str, values: Mapping[str, Any], secret: Collection[str]
) -> Masked:
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
        return Masked(MASK, [environment.from_string(source).render(values)])
    hidden: list[str] = []

    def masked(value: object) -> str:
        text = str(value)
        hidden.append(text)
        return re.sub(r"\S.*", MASK, text)

    environment.filters[MASK] = masked
    shown = values.keys() - set(secret) - _defined(tree)
    for output in tree.find_all(nodes.Output):
        output.nodes = [node if _names(node) <= shown else _masked(node) for node in output.nodes]
    for block in tree.find_all(nodes.FilterBlock):
        if not _names(block.filter) <= shown:
            block.filter = _masked(block.filter)
    tree.set_environment(environment)
    return Masked(environment.from_string(tree).render(values), hidden)


def _masked(node: nodes.Expr) -> nodes.Filter:
    from jinja2 import nodes

    return nodes.Filter(node, MASK, [], [], None, None, lineno=node.lineno)


def _names(node: nodes.Node) -> set[str]:
    from jinja2 import nodes

    own = {node.name} if isinstance(node, nodes.Name) else set()
    return own | {found.name for found in node.find_all(nodes.Name)}


def _defined(tree: nodes.Template) -> set[str]:
    from jinja2 import nodes

    macros = {macro.name for macro in tree.find_all(nodes.Macro)}
    return macros | {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}


def texts_in(value: object) -> Iterator[str]:
    """Iterate the texts and numbers in a value, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from texts_in(key)
            yield from texts_in(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from texts_in(inner)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def conceal(message: str, masked: Masked) -> str:
    """Hide in a message of somebody else what is masked in a text, also a piece of it.

    :param message: the message.
    :param masked: the text. Pieces that are in it, too, are not hidden.
    """
    covered = [False] * len(message)
    pieces: set[str] = set()
    for hidden in masked.hidden:
        text = " ".join(hidden.split())  # as messages have it
        pieces.update(text[i : i + _PIECE] for i in range(len(text) - _PIECE + 1))
        if text and len(text) < _PIECE and text not in masked.text:
            for found in re.finditer(rf"(?<!\w){re.escape(text)}(?!\w)", message):
                covered[found.start() : found.end()] = [True] * len(text)
    for start in range(len(message) - _PIECE + 1):
        piece = message[start : start + _PIECE]
        if piece in pieces and piece not in masked.text:
            covered[start : start + _PIECE] = [True] * _PIECE
    runs = groupby(zip(covered, message, strict=True), lambda pair: pair[0])
    return "".join(MASK if hides else "".join(c for _, c in run) for hides, run in runs)
