"""An amount of CPU, memory and launches."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from pydatatask_core.errors import QuantityError

from .quantity import EXACT, parse_quantity

__all__ = ["ResourceType", "Resources", "UnstatedLaunches", "unchecked_resources"]

_ZERO = Decimal("0")
_Quantity = str | float | int | Decimal


class ResourceType(Enum):
    """An enum class indicating a type of resource. Presently can be CPU, MEM, or RATE."""

    CPU = 1
    MEM = 2
    RATE = 3


class UnstatedLaunches(int):
    """A default number of launches: it counts like any number, but is not a limit.

    Sums and differences with it are not limits either.
    """

    __slots__ = ()

    def __add__(self, other: int) -> UnstatedLaunches:
        return UnstatedLaunches(int(self) + other)

    def __sub__(self, other: int) -> UnstatedLaunches:
        return UnstatedLaunches(int(self) - other)


@dataclass(frozen=True)
class Resources:
    """A dataclass containing a quantity of resources.

    Resources can be summed::

        r = pydatatask.Resources.parse(1, 1, 100)
        r += pydatatask.Resources.parse(2, 3, 0)
        r -= pydatatask.Resources.parse(1, 1, 0)
        assert r == pydatatask.Resources.parse(2, 3, 100)

    Sums are exact. A difference may be negative, which is the amount of a shortage; resources that
    are created from numbers may not.

    :param cpu: number of CPUs.
    :param mem: bytes.
    :param launches: for a job, the number of launches that it counts as; for a quota, the maximum
        number of launches within a task's window. The default of 1 applies to quotas that are
        constructed directly, without ``parse``.
    :raises QuantityError: if one of them is negative or not a number; the message names it.
    """

    cpu: Decimal = Decimal("0")
    mem: Decimal = Decimal("0")
    launches: int = 1

    def __post_init__(self) -> None:
        self.__dict__["cpu"] = _amount("cpu", self.cpu)
        self.__dict__["mem"] = _amount("mem", self.mem)
        if not isinstance(self.launches, UnstatedLaunches):
            self.__dict__["launches"] = _count("launches", self.launches)

    @staticmethod
    def parse(cpu: _Quantity, mem: _Quantity, launches: _Quantity | None = None) -> Resources:
        """Construct a ``Resources`` instance by parsing the given quantities.

        :param cpu: number of CPUs, in any form that ``parse_quantity`` accepts.
        :param mem: bytes, in any form that ``parse_quantity`` accepts.
        :param launches: a whole number. By default, a job counts as one launch, and a quota does
            not limit launches.
        :raises QuantityError: if one of them is negative or not a quantity; the message names it.
        """
        unstated = UnstatedLaunches(1)
        count = unstated if launches is None else _count("launches", launches)
        return Resources(_amount("cpu", cpu), _amount("mem", mem), count)

    def excess(self, limit: Resources) -> ResourceType | None:
        """Determine if these resources are over a given limit.

        :return: the ``ResourceType`` of the first resource that is over-limit, in the order CPU,
            MEM, RATE, or ``None`` if self is under-limit.
        """
        if self.cpu > limit.cpu:
            return ResourceType.CPU
        if self.mem > limit.mem:
            return ResourceType.MEM
        if self.launches > limit.launches and limit.limits_launches:
            return ResourceType.RATE
        return None

    @property
    def limits_launches(self) -> bool:
        """True if launches are limited when this is a quota."""
        return not isinstance(self.launches, UnstatedLaunches)

    def __str__(self) -> str:
        launches = f", {self.launches} launches" if self.limits_launches else ""
        return f"{self.cpu:f} CPU, {_bytes(self.mem)} bytes{launches}"

    def without_launches(self) -> Resources:
        """Return the same CPU and memory with no launches: the part that is free after a job."""
        return unchecked_resources(self.cpu, self.mem, 0)

    def __add__(self, other: Resources) -> Resources:
        if not isinstance(other, Resources):
            return NotImplemented
        return unchecked_resources(
            EXACT.add(self.cpu, other.cpu),
            EXACT.add(self.mem, other.mem),
            self.launches + other.launches,
        )

    def __sub__(self, other: Resources) -> Resources:
        if not isinstance(other, Resources):
            return NotImplemented
        return unchecked_resources(
            EXACT.subtract(self.cpu, other.cpu),
            EXACT.subtract(self.mem, other.mem),
            self.launches - other.launches,
        )


def unchecked_resources(cpu: Decimal, mem: Decimal, launches: int) -> Resources:
    """Return resources of numbers that are known to be valid, including negative ones."""
    result = object.__new__(Resources)
    result.__dict__.update(cpu=cpu, mem=mem, launches=launches)
    return result


def _amount(field: str, quantity: _Quantity) -> Decimal:
    try:
        result = parse_quantity(quantity)
    except QuantityError as error:
        raise QuantityError(f"{field}: {error}") from None
    if result < 0:
        raise QuantityError(f"{field}: {quantity!r} is negative, but the minimum is 0")
    return result


def _bytes(amount: Decimal) -> str:
    """Format a number of bytes for ``parse``, with the largest suffix that keeps it whole."""
    integer = int(amount)
    if integer != amount or integer % 1024:
        return f"{amount:f}"
    suffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
    while integer and integer % 1024 == 0 and len(suffixes) > 1:
        integer //= 1024
        suffixes.pop(0)
    return f"{integer}{suffixes[0]}"


def _count(field: str, quantity: _Quantity) -> int:
    result = _amount(field, quantity)
    if result != int(result):
        raise QuantityError(f"{field}: {quantity!r} is not a whole number")
    return int(result)
