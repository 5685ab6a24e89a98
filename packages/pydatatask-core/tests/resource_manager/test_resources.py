"""Resources: sums, limits, and invalid amounts."""

from __future__ import annotations

import copy
import dataclasses
import decimal
import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatask_core.errors import QuantityError
from pydatatask_core.resource_manager import Resources, ResourceType

AMOUNTS = st.decimals(0, 10**20, places=9)
RESOURCES = st.builds(Resources, AMOUNTS, AMOUNTS, st.integers(0, 10**6))


def test_the_documented_sum() -> None:
    r = Resources.parse(1, 1, 100)
    r += Resources.parse(2, 3, 0)
    r -= Resources.parse(1, 1, 0)
    assert r == Resources.parse(2, 3, 100)


def test_the_documented_defaults() -> None:
    assert Resources() == Resources(Decimal(0), Decimal(0), 1)
    assert [field.name for field in dataclasses.fields(Resources)] == ["cpu", "mem", "launches"]
    assert [(kind.name, kind.value) for kind in ResourceType] == [
        ("CPU", 1),
        ("MEM", 2),
        ("RATE", 3),
    ]


def test_parsing_takes_quantities() -> None:
    parsed = Resources.parse(cpu="1500m", mem="1Gi", launches="1k")
    assert parsed == Resources(Decimal("1.5"), Decimal(2**30), 1000)
    assert type(parsed.launches) is int


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        (Resources.parse(4, "100Mi"), "4 CPU, 100Mi bytes"),
        (Resources.parse("500m", 0, 10), "0.500 CPU, 0 bytes, 10 launches"),
        (Resources.parse(0, "1025Gi", 0), "0 CPU, 1025Gi bytes, 0 launches"),
        (Resources.parse("1e3", 1500), "1000 CPU, 1500 bytes"),
        (Resources.parse(0, "4096Ei"), "0 CPU, 4096Ei bytes"),
        (Resources.parse(0, "2.5") - Resources.parse(1, "3.0"), "-1 CPU, -0.5 bytes"),
    ],
)
def test_the_text_form_uses_the_notation_of_quantities(resources: Resources, told: str) -> None:
    assert str(resources) == told


@given(RESOURCES, st.integers(1, 5))
def test_the_text_form_is_exact_under_any_decimal_context(given: Resources, prec: int) -> None:
    with decimal.localcontext(prec=prec):
        cpu, mem, launches = (part.split()[0] for part in str(given).split(", "))
    assert Resources.parse(cpu, mem, launches) == given


@given(RESOURCES, RESOURCES, st.integers(1, 5))
def test_sums_are_exact_under_any_decimal_context(a: Resources, b: Resources, prec: int) -> None:
    with decimal.localcontext(prec=prec):
        assert a + b - b == a
        assert a + b == b + a
        assert a - b + b == a


def test_a_difference_may_fall_below_zero() -> None:
    short = Resources.parse(1, 1, 0) - Resources.parse(3, 1, 0)
    assert short.cpu == -2


def test_resources_are_immutable() -> None:
    a = b = Resources.parse(1, 1, 1)
    b += Resources.parse(1, 1, 1)
    assert a == Resources.parse(1, 1, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.cpu = Decimal(5)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("resources", "excess"),
    [
        (Resources.parse(2, 2, 2), None),
        (Resources.parse(3, 3, 3), ResourceType.CPU),
        (Resources.parse(2, 3, 3), ResourceType.MEM),
        (Resources.parse(2, 2, 3), ResourceType.RATE),
        (Resources.parse("2001m", 2, 2), ResourceType.CPU),
    ],
)
def test_the_first_excess_is_named_in_order(
    resources: Resources, excess: ResourceType | None
) -> None:
    assert resources.excess(Resources.parse(2, 2, 2)) is excess


def test_unstated_launches_are_one_for_a_job_and_no_limit_for_a_quota() -> None:
    unstated = Resources.parse(1, 1)
    assert unstated.launches == 1
    assert (Resources.parse(0, 0, 5) + unstated).launches == 6
    assert Resources.parse(1, 1, 1_000_000).excess(unstated) is None
    assert unstated.excess(Resources.parse(1, 1, 0)) is ResourceType.RATE


def test_the_dataclass_default_limits_a_quota_to_one_launch() -> None:
    assert Resources(launches=2).excess(Resources()) is ResourceType.RATE


def test_enlarging_a_quota_does_not_change_whether_it_limits_launches() -> None:
    machine = Resources.parse(4, 8)
    unlimited = machine + Resources.parse(1, 1, 0) - Resources.parse(1, 1)
    limited = Resources.parse(4, 8, 10) + machine
    assert not unlimited.limits_launches
    assert limited.limits_launches
    assert limited.launches == 11


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))]
)
@pytest.mark.parametrize("launches", [None, 5])
def test_a_copy_is_equal_in_every_respect(clone: Any, launches: int | None) -> None:
    original = Resources.parse("1.5", "1Gi", launches)
    copied = clone(original)
    assert copied == original
    assert copied.limits_launches == original.limits_launches
    assert dataclasses.replace(original, cpu=Decimal(1)).limits_launches == (launches is not None)


@pytest.mark.parametrize("field", ["cpu", "mem", "launches"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (-1, "-1 is negative"),
        ("-1m", "'-1m' is negative"),
        (float("nan"), "nan is not a quantity"),
        (float("inf"), "inf is not a quantity"),
        (True, "True is not a quantity"),
        ("plenty", "'plenty' is not a quantity"),
        ([], r"\[\] is not a quantity"),
    ],
)
def test_an_invalid_amount_is_refused_with_its_field(field: str, value: Any, problem: str) -> None:
    arguments: dict[str, Any] = {"cpu": 1, "mem": 1, "launches": 1, field: value}
    for make in (Resources.parse, Resources):
        with pytest.raises(QuantityError, match=f"^{field}: {problem}"):
            make(**arguments)


def test_a_fractional_launch_is_refused() -> None:
    with pytest.raises(QuantityError, match=r"^launches: 0.5 is not a whole number$"):
        Resources.parse(1, 1, 0.5)


def test_launches_can_be_removed_from_resources() -> None:
    assert Resources.parse(1, 2).without_launches() == Resources.parse(1, 2, 0)
