from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatask_cli.expression import Expression, ExpressionError, parse

SETS = {"a.x": "1234", "a-b.y-z": "245", "c.z": "346", "a": "7", "a.x.y": "1"}


def value(text: str) -> str:
    return "".join(sorted(parse(text, SETS).evaluate(lambda name: {*SETS[name]})))


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("", 0, "it is empty"),
        ("   ", 3, "it is empty"),
        ("a.x &", 5, "a name is missing at the end"),
        ("& a.x", 0, "is missing here"),
        ("a.x | | c.z", 6, "is missing here"),
        ("a.x c.z", 4, "is missing"),
        ("(a.x", 0, "never closed"),
        ("(a.x c.z)", 5, "closing parenthesis is missing"),
        ("a.x)", 3, "never opened"),
        ("()", 1, "is missing here"),
        ("a.x & nope.x", 6, "there is no 'nope.x'"),
        ("__import__('os')", 0, "there is no '__import__'"),
        ("a.xx", 0, "did you mean 'a.x'?"),
        ("(" * 200 + "a.x" + ")" * 200, 100, "parentheses are open"),
    ],
)
def test_an_invalid_expression_is_reported_with_a_caret_under_the_error(
    text: str, position: int, problem: str
) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text, SETS)

    message, shown, caret = str(caught.value).split("\n")
    assert problem in message
    assert shown == f"  {text}"
    assert caret == " " * (position + 2) + "^"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.x", "1234"),
        ("a", "7"),
        ("a.x.y", "1"),
        ("a.x & a-b.y-z", "24"),
        ("a.x-a-b.y-z", "13"),
        ("a.x - a-b.y-z - c.z", "1"),
        ("a.x - (a-b.y-z - c.z)", "134"),
        ("a | a.x & c.z", "347"),
        ("(a | a.x) & c.z", "34"),
        ("a.x ^ c.z", "126"),
        ("a ^ a.x & c.z | a", "347"),
        ("c.z&a.x-a-b.y-z", "3"),
    ],
)
def test_an_expression_has_the_same_meaning_as_in_python(text: str, expected: str) -> None:
    assert value(text) == expected


NAMES = {"n0": "13", "n1": "12", "n2": "012"}


@given(
    st.recursive(
        st.sampled_from(sorted(NAMES)),
        lambda inner: (
            st.tuples(inner, st.sampled_from("&|^-"), inner).map(
                lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
            )
            | st.tuples(inner, st.sampled_from("&|^-"), inner).map(
                lambda parts: f"{parts[0]}{parts[1]}{parts[2]}"
            )
        ),
        max_leaves=12,
    )
)
def test_any_expression_has_the_same_value_as_in_python(text: str) -> None:
    sets = {name: frozenset(elements) for name, elements in NAMES.items()}

    found = parse(text, NAMES).evaluate(sets.__getitem__)

    assert found == eval(text, {}, dict(sets))


def test_the_names_are_yielded_from_left_to_right() -> None:
    found: Expression = parse("(a.x | c.z) - a", SETS)

    assert list(found.names()) == ["a.x", "c.z", "a"]
