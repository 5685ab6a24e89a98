"""The check that a value which is printed into a manifest does not change the manifest's shape.

The manifest is compared with its twin, in which an inert word stands in the place of every value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from pydatatask_core.task.rendered import JsonText

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydatatask_core.task.rendered import Piece, RenderedText

__all__ = ["Difference", "compose", "find_difference"]

_NOTHING = "\0"
"""A text that no document can contain."""

_MAX_CULPRITS = 200
"""How many values are tried one by one to find the one that changes the shape."""


@dataclass(frozen=True)
class Difference:
    """A place at which a value changes the shape of a manifest.

    :param path: the place, such as ``spec.containers[0].args``; without any value.
    :param value: the value; None if several values change it together.
    """

    path: str
    value: Piece | None


def compose(text: str) -> Any:
    """Parse a document of YAML into its nodes, without the objects that they mean.

    :param text: the document.
    :raises yaml.YAMLError: if it does not parse.
    """
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.compose(str.__str__(text), Loader=loader)  # libyaml takes no subclass


def find_difference(text: RenderedText, document: Any) -> Difference | None:
    """Return the first place at which a value changes the shape of a manifest.

    :param text: the manifest.
    :param document: its nodes.
    """
    values = text.values
    if not values:
        return None
    twin = _Twin.of(text)
    if twin is None:
        return Difference("", _culprit(text, None))
    path = _Comparison(twin, values).difference(document, twin.document)
    return None if path is None else Difference(path, _culprit(text, twin))


def _culprit(text: RenderedText, twin: _Twin | None) -> Piece | None:
    """Return the value that changes the shape if all others are inert."""
    values = text.values
    if twin is None:
        return values[0] if len(values) == 1 else None
    for number, value in enumerate(values[:_MAX_CULPRITS]):
        words: list[str] = list(twin.words)
        words[number] = str.__str__(value)
        try:
            document = compose(text.with_words(words))
        except (yaml.YAMLError, RecursionError):
            return value
        if _Comparison(twin, words).difference(document, twin.document) is not None:
            return value
    return None


@dataclass
class _Twin:
    """A manifest in which words stand for values.

    :param words: the words.
    :param pattern: an expression for any of them, whose group is its number.
    :param document: the nodes of the manifest.
    """

    words: list[str]
    pattern: re.Pattern[str]
    document: Any

    @classmethod
    def of(cls, text: RenderedText) -> _Twin | None:
        """Return the twin of a manifest; None if it is YAML only because of its values."""
        values = text.values
        stem = "value"
        while stem in text:
            stem += "x"
        words = [f"{stem}{number:06}z" for number in range(len(values))]
        pattern = re.compile(rf"{stem}(\d{{6}})z")
        # An empty value may stand where a word cannot, at the end of a document for instance.
        empty = [word if value else "" for word, value in zip(words, values, strict=True)]
        for chosen in (words, empty):
            try:
                return cls(chosen, pattern, compose(text.with_words(chosen)))
            except yaml.YAMLError:
                continue
        return None


@dataclass
class _Comparison:
    """Compares the nodes of a manifest with those of its twin.

    :param twin: the twin.
    :param values: the text that stands in the manifest for each word of the twin.
    """

    twin: _Twin
    values: Sequence[str]
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def difference(self, real: Any, twin: Any, path: str = "") -> str | None:
        """Return the path of the first difference, or None."""
        if twin is None or real is None:
            return None if twin is real else path
        if (id(real), id(twin)) in self._seen:  # an alias, perhaps within itself
            return None
        self._seen.add((id(real), id(twin)))
        if isinstance(twin, yaml.ScalarNode):
            return None if self._same_scalar(real, twin) else path
        if real.id != twin.id or len(real.value) != len(twin.value):
            return path
        for real_child, twin_child, below in self._children(real, twin, path):
            found = self.difference(real_child, twin_child, below)
            if found is not None:
                return found
        return None

    def _children(self, real: Any, twin: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
        pairs = zip(real.value, twin.value, strict=True)
        if isinstance(twin, yaml.SequenceNode):
            for number, (real_item, twin_item) in enumerate(pairs):
                yield real_item, twin_item, f"{path}[{number}]"
        else:
            for (real_key, real_value), (twin_key, twin_value) in pairs:
                yield real_key, twin_key, path
                yield real_value, twin_value, self._below(path, twin_key)

    def _below(self, path: str, key: Any) -> str:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
        return ".".join(filter(None, (path, self.twin.pattern.sub("{{...}}", name))))

    def _same_scalar(self, real: Any, twin: Any) -> bool:
        """Return whether a node is the scalar of the twin, with the values in it."""
        if self.twin.pattern.search(twin.value) is None:
            scalar = isinstance(real, yaml.ScalarNode)
            return scalar and (real.tag, real.value) == (twin.tag, twin.value)
        alone = self.twin.pattern.fullmatch(twin.value)
        if alone is not None and not twin.style:  # plain
            return _is_value(real, self.values[int(alone[1])])
        if not isinstance(real, yaml.ScalarNode) or real.style != twin.style:
            return False
        expected = self.twin.pattern.sub(
            lambda word: _unescape(self.values[int(word[1])], twin.style), twin.value
        )
        return _folded(real.value) == _folded(expected)


def _is_value(node: Any, value: str) -> bool:
    """Return whether a node is a value that was printed where a whole node is expected."""
    if isinstance(node, yaml.ScalarNode) and not node.style:
        return _folded(node.value) == _folded(value)
    try:
        alone = compose(value)
    except (yaml.YAMLError, RecursionError):
        return False
    if isinstance(value, JsonText):
        return _equal(node, alone)
    quoted = isinstance(alone, yaml.ScalarNode) and alone.style in ("'", '"')
    return quoted and alone.end_mark.index == len(value.rstrip()) and _equal(node, alone)


def _equal(one: Any, other: Any) -> bool:
    """Return whether two nodes without aliases mean the same."""
    rest = [(one, other)]
    while rest:
        one, other = rest.pop()
        if one.id != other.id or one.tag != other.tag:
            return False
        if isinstance(one, yaml.ScalarNode):
            if one.value != other.value:
                return False
        elif len(one.value) != len(other.value):
            return False
        elif isinstance(one, yaml.SequenceNode):
            rest += zip(one.value, other.value, strict=True)
        else:
            for pair in zip(one.value, other.value, strict=True):
                rest += zip(*pair, strict=True)
    return True


def _unescape(value: str, style: str | None) -> str:
    """Return the text that a value means within quotes; a text that is in no value if it ends them.

    :param value: the value.
    :param style: the quotes; other styles know no escapes.
    """
    if style not in ("'", '"') or not ({style, "\\"} & set(value)):
        return value
    try:
        node = compose(f"{style}{value}{style}")
    except yaml.YAMLError:
        return _NOTHING
    whole = isinstance(node, yaml.ScalarNode) and node.end_mark.index == len(value) + 2
    return str(node.value) if whole and node.style == style else _NOTHING


def _folded(text: str) -> str:
    """Return a text without the differences in space that the styles of YAML make."""
    return " ".join(text.split())
