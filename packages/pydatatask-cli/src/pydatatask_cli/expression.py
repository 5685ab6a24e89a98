"""Set expressions over repositories: ``task.link`` names, ``& | - ^`` and parentheses.

As in Python, ``-`` binds more tightly than ``&``, then come ``^`` and ``|``. Nothing is ever
evaluated as Python. A name may contain hyphens, or any other character of a task's name: the
longest known name that matches is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from .errors import CommandLineError
from .lookup import suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from collections.abc import Set as AbstractSet

__all__ = ["Expression", "ExpressionError", "parse"]

_PRECEDENCE = ("|", "^", "&", "-")
_SPECIAL = frozenset("&|^-()")
_MAX_DEPTH = 100


class ExpressionError(CommandLineError):
    """An expression that does not parse; the message shows the position.

    :param text: the expression.
    :param position: the index of the invalid character.
    :param problem: the error and its remedy.
    """

    def __init__(self, text: str, position: int, problem: str) -> None:
        super().__init__(f"{problem}\n  {text}\n  {' ' * position}^")
        self.position = position


@dataclass(frozen=True)
class Expression:
    """A name, or two expressions and their operator."""

    name: str = ""
    operator: str = ""
    left: Expression | None = None
    right: Expression | None = None

    def names(self) -> Iterator[str]:
        """Yield the names in the expression, from left to right."""
        if self.left is None or self.right is None:
            yield self.name
        else:
            yield from self.left.names()
            yield from self.right.names()

    def evaluate(self, lookup: Callable[[str], AbstractSet[str]]) -> AbstractSet[str]:
        """Return the value of the expression.

        :param lookup: returns the set for a name.
        """
        if self.left is None or self.right is None:
            return lookup(self.name)
        left, right = self.left.evaluate(lookup), self.right.evaluate(lookup)
        if self.operator == "&":
            return left & right
        if self.operator == "|":
            return left | right
        return left - right if self.operator == "-" else left ^ right


def parse(text: str, names: Collection[str]) -> Expression:
    """Parse an expression.

    :param text: the expression.
    :param names: the names that exist.
    :raises ExpressionError: if it does not parse, or uses a name that does not exist.
    """
    parser = _Parser(text, names)
    expression = parser.expression()
    parser.expect_end()
    return expression


class _Parser:
    def __init__(self, text: str, names: Collection[str]) -> None:
        self._text = text
        self._names = names
        self._longest_first = sorted(names, key=len, reverse=True)
        self._position = 0
        self._depth = 0
        self._blanks()

    def expression(self, level: int = 0) -> Expression:
        if level == len(_PRECEDENCE):
            return self._operand()
        left = self.expression(level + 1)
        while self._next() == _PRECEDENCE[level]:
            self._advance()
            left = Expression("", _PRECEDENCE[level], left, self.expression(level + 1))
        return left

    def expect_end(self) -> None:
        if self._next() == ")":
            self._fail("this parenthesis was never opened")
        if self._next():
            self._fail("an operator (& | - ^) is missing here")

    def _operand(self) -> Expression:
        following = self._next()
        if following == "(":
            opened = self._position
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                self._fail(f"more than {_MAX_DEPTH} parentheses are open")
            self._advance()
            inner = self.expression()
            if self._next() != ")":
                if self._next():
                    self._fail("an operator (& | - ^) or a closing parenthesis is missing here")
                raise ExpressionError(self._text, opened, "this parenthesis is never closed")
            self._advance()
            self._depth -= 1
            return inner
        name = self._known()
        if name is not None:
            self._advance(len(name))
            return Expression(name)
        if not following:
            self._fail("a name is missing at the end" if self._text.strip() else "it is empty")
        if following in _SPECIAL:
            self._fail("a name such as `task.link` is missing here")
        word = self._word()
        self._fail(f"there is no {word!r}; {suggest(word, list(self._names), 'link')}")

    def _known(self) -> str | None:
        """Return the longest known name that begins at the position and is a complete word."""
        for name in self._longest_first:
            if self._text.startswith(name, self._position):
                after = self._text[self._position + len(name) : self._position + len(name) + 1]
                if not after or after.isspace() or after in _SPECIAL:
                    return name
        return None

    def _word(self) -> str:
        end = self._position
        while end < len(self._text) and not (
            self._text[end].isspace() or self._text[end] in _SPECIAL - {"-"}
        ):
            end += 1
        return self._text[self._position : end]

    def _next(self) -> str:
        return self._text[self._position : self._position + 1]

    def _advance(self, count: int = 1) -> None:
        self._position += count
        self._blanks()

    def _blanks(self) -> None:
        while self._next().isspace():
            self._position += 1

    def _fail(self, problem: str) -> NoReturn:
        raise ExpressionError(self._text, self._position, f"invalid expression: {problem}")
