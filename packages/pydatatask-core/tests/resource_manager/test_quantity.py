"""parse_quantity: exactly the grammar of Kubernetes."""

from __future__ import annotations

import decimal
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatask_core.errors import QuantityError
from pydatatask_core.resource_manager import parse_quantity

DIGITS = st.text("0123456789", min_size=1, max_size=25)
SIGNS = st.sampled_from(["", "+", "-"])
NUMBERS = st.one_of(
    DIGITS,
    DIGITS.map("{}.".format),
    DIGITS.map(".{}".format),
    st.tuples(DIGITS, DIGITS).map(".".join),
)
EXPONENTS = st.tuples(st.sampled_from("eE"), SIGNS, st.integers(0, 99).map(str)).map("".join)
# Written out to be independent of the table in the implementation.
FACTORS = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}


def model(number: str, suffix: str) -> Fraction:
    """Return the value of a quantity, computed without decimals."""
    sign = -1 if number[0] == "-" else 1
    whole, _, places = number.lstrip("+-").partition(".")
    value = sign * Fraction(int(whole + places or "0"), 10 ** len(places))
    if suffix in FACTORS:
        return value * FACTORS[suffix]
    return value * Fraction(10) ** int(suffix[1:])


@given(SIGNS, NUMBERS, st.one_of(st.sampled_from(list(FACTORS)), EXPONENTS), st.integers(1, 40))
def test_the_result_is_exact_under_any_decimal_context(
    sign: str, number: str, suffix: str, precision: int
) -> None:
    with decimal.localcontext() as context:
        context.prec = precision
        context.Emax, context.Emin = 5, -5
        context.traps = dict.fromkeys(context.traps, True)
        result = parse_quantity(sign + number + suffix)
    assert Fraction(result) == model(sign + number, suffix)


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        ("1E", "1000000000000000000"),
        ("1E3", "1000"),
        ("1E-3", "0.001"),
        ("1e+3", "1000"),
        ("1Ei", "1152921504606846976"),
        ("1.5Gi", "1610612736"),
        ("200Mi", "209715200"),
        ("1000m", "1"),
        ("100u", "0.0001"),
        ("3n", "0.000000003"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+5", "5"),
        ("-5", "-5"),
        ("007", "7"),
        (5, "5"),
        (0.1, "0.1"),
        (1e22, "10000000000000000000000"),
        (1e-7, "0.0000001"),
        (Decimal("0.30"), "0.3"),
        (10**30, "1000000000000000000000000000000"),
        ("0e999999999999", "0"),
        (Decimal("0E-999999"), "0"),
        (-0.0, "0"),
    ],
)
def test_examples(quantity: Any, value: str) -> None:
    assert parse_quantity(quantity) == Decimal(value)


# Obvious cases, and cases from the tests of k8s.io/apimachinery.
@pytest.mark.parametrize(
    "quantity",
    [
        *["", "+", "-", ".", "aoeu", "1.1.M", "1+1.0M", "0.1mi", "0.1am", ".5i", "1i", "-3.01i"],
        *[
            "-3.01e-",
            "1K",
            "1ki",
            "1mi",
            "1KI",
            "1Kib",
            "1Zi",
            "1Y",
            "1e",
            "1ee3",
            "1e1.5",
            "1E3Ki",
        ],
        *["--1", "+-1", "0x10", "1_000", "1,5", "Gi", "e3", "nan", "inf", "-inf", "Infinity", "½"],
        *["\N{FULLWIDTH DIGIT ONE}", "1\N{ARABIC-INDIC DIGIT ONE}", "1Ki\n", "1\x00"],
    ],
)
def test_invalid_quantities_are_refused_and_named(quantity: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity") as caught:
        parse_quantity(quantity)
    assert isinstance(caught.value, QuantityError)
    assert repr(quantity) in str(caught.value)


@pytest.mark.parametrize("quantity", [" 1", "1 ", "1 Gi", "\t1", "1\n", "- 1"])
def test_whitespace_is_refused(quantity: str) -> None:
    with pytest.raises(QuantityError, match="it must not contain white space"):
        parse_quantity(quantity)


@given(st.text("+-.0123456789eEinumkKMGTP ", max_size=8))
def test_accepted_quantities_have_the_expected_value_and_others_raise(text: str) -> None:
    try:
        result = parse_quantity(text)
    except QuantityError:
        return
    number = text.rstrip("einumkKMGTPE")
    suffix = text[len(number) :]
    if "e" in number.lower():
        number, mark, exponent = number.lower().partition("e")
        suffix = mark + exponent
    assert Fraction(result) == model(number, suffix)


@pytest.mark.parametrize(
    "quantity", [float("nan"), float("inf"), Decimal("-Infinity"), Decimal("sNaN")]
)
def test_numbers_have_to_be_finite(quantity: Any) -> None:
    with pytest.raises(QuantityError, match="it has to be a finite number"):
        parse_quantity(quantity)


@pytest.mark.parametrize("quantity", [None, True, False, [], b"1", 1j, Fraction(1, 2)])
def test_other_objects_are_refused_with_their_type(quantity: Any) -> None:
    with pytest.raises(QuantityError, match=f"an object of type {type(quantity).__name__}"):
        parse_quantity(quantity)


@pytest.mark.parametrize(
    "quantity",
    [
        "1e401",
        "1e-401",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        pytest.param(10**5000, id="int"),
        "1" * 402,
    ],
)
def test_an_extreme_quantity_is_refused_in_a_short_message(quantity: Any) -> None:
    with pytest.raises(QuantityError, match="is not a usable quantity") as caught:
        parse_quantity(quantity)
    assert len(str(caught.value)) < 300


def test_an_overlong_quantity_is_refused_in_a_short_message() -> None:
    with pytest.raises(QuantityError, match="longer than 1000 characters") as caught:
        parse_quantity("1" * 1_000_000)
    assert len(str(caught.value)) < 300
