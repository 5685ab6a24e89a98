"""Quantities in the notation of Kubernetes."""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation

from pydatatask_core.errors import QuantityError, excerpt

__all__ = ["EXACT", "parse_quantity"]

_MAX_PLACES = 400  # digits before and after the decimal point; a number with more is a mistake
_MAX_QUANTITY_CHARACTERS = 1000

EXACT = Context(
    prec=4 * _MAX_PLACES, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[Inexact, InvalidOperation]
)
"""An arithmetic context with exact sums and products, independent of the global context."""

_PREFIXES = "kMGTPE"
_MULTIPLIERS = {
    **{"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1)},
    **{prefix: Decimal(1000**power) for power, prefix in enumerate(_PREFIXES, 1)},
    **{f"{prefix}i": Decimal(1024**power) for power, prefix in enumerate(_PREFIXES.upper(), 1)},
}

# The grammar of k8s.io/apimachinery/pkg/api/resource/quantity.go. An E is an exponent if a number
# follows, otherwise exa; fractional exponents are in the grammar, but its own parser rejects them.
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
    r"(?:[eE](?P<exponent>[+-]?[0-9]+)|(?P<suffix>[KMGTPE]i|[numkMGTPE]?))"
)


def parse_quantity(quantity: str | float | Decimal) -> Decimal:
    """Parse a Kubernetes canonical form quantity like 200Mi to a decimal number.

    Supported suffixes are, for powers of 1024, Ki Mi Gi Ti Pi Ei, for powers of 1000,
    n u m k M G T P E, or a decimal exponent like e3 or E-3. The result is exact, while Kubernetes
    itself rounds up to whole nanos and stops at 2**63 - 1. A float has the value of its shortest
    decimal representation, so 0.1 is exactly a tenth.

    See https://github.com/kubernetes/apimachinery/blob/master/pkg/api/resource/quantity.go

    :param quantity: the quantity; numbers are used unchanged.
    :raises QuantityError: if it is not a valid quantity; the message names it. This is a
        ``ValueError``.
    """
    if isinstance(quantity, bool) or not isinstance(quantity, str | int | float | Decimal):
        raise QuantityError(
            f"{excerpt(quantity)} is not a quantity: expected a string or a number, not an "
            f"object of type {type(quantity).__name__}"
        )
    if isinstance(quantity, str):
        result = _parse(quantity)
    else:
        result = Decimal(float.__repr__(quantity) if isinstance(quantity, float) else quantity)
    if not result.is_finite():
        raise QuantityError(f"{excerpt(quantity)} is not a quantity: it has to be a finite number")
    if not result:
        return Decimal(0)
    lowest = result.as_tuple().exponent
    if result.adjusted() > _MAX_PLACES or (isinstance(lowest, int) and lowest < -_MAX_PLACES):
        raise _out_of_range_error(quantity)
    return result


def _parse(text: str) -> Decimal:
    match = _QUANTITY.fullmatch(text) if len(text) <= _MAX_QUANTITY_CHARACTERS else None
    if match is None:
        raise QuantityError(f"{excerpt(text)} is not a quantity: {_describe_problem(text)}")
    number = Decimal(match["number"])
    if match["exponent"] is None:
        return EXACT.multiply(number, _MULTIPLIERS[match["suffix"]])
    exponent = int(match["exponent"])
    if number and abs(exponent) > _MAX_QUANTITY_CHARACTERS + _MAX_PLACES:  # for any number
        raise _out_of_range_error(text)
    return EXACT.scaleb(number, exponent) if number else number


def _out_of_range_error(quantity: object) -> QuantityError:
    return QuantityError(
        f"{excerpt(quantity)} is not a usable quantity: it has more than {_MAX_PLACES} places "
        "before or after the decimal point"
    )


def _describe_problem(text: str) -> str:
    if len(text) > _MAX_QUANTITY_CHARACTERS:
        return f"it is longer than {_MAX_QUANTITY_CHARACTERS} characters"
    if text.strip() != text or " " in text:
        return "it must not contain white space"
    return (
        "expected a number with an optional suffix, one of n u m k M G T P E Ki Mi Gi Ti Pi Ei or "
        "an exponent, such as 500m, 2, 1.5Gi or 12e6"
    )
