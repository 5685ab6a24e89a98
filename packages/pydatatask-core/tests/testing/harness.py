"""Running a suite on a deliberately broken implementation, and collecting the failures."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

T = TypeVar("T")


class Applied:
    """A mixin that applies a contract to a class.

    The methods replace the fixtures of the same names, so that a contract can run without pytest.
    """

    kind: Any

    def make_repo(self) -> Any:
        raise NotImplementedError

    def make_broken(self) -> Any:
        raise NotImplementedError

    def make_missing(self) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Mutant:
    """An implementation with one fault, the laws that it breaks, and tests that must detect it."""

    kind: Any
    laws: frozenset[str]
    caught_by: frozenset[str]
    settings: dict[str, Any]


class Mutants(list[Mutant]):
    """The mutants of one suite."""

    def breaks(self, laws: str, *caught_by: str, **settings: Any) -> Callable[[T], T]:
        """Register a class as a mutant.

        :param laws: The number of the law that it breaks; several numbers for the few faults that
            cannot break a single law.
        :param caught_by: Names of tests, without ``test_``, that must fail.
        :param settings: Class attributes of the contract for this mutant.
        """

        def register(kind: T) -> T:
            names = frozenset(f"test_{name}" for name in caught_by)
            self.append(Mutant(kind, frozenset(laws.split()), names, settings))
            return kind

        return register


def functions_of(contract: type) -> dict[str, Callable[..., Any]]:
    """Map the names of a contract's tests to their functions."""
    return {name: getattr(contract, name) for name in dir(contract) if name.startswith("test_")}


def law_of(function: Callable[..., Any]) -> str:
    """Return the number at the beginning of a test's docstring."""
    return (function.__doc__ or "").split(":")[0].split(",")[0]


async def failures(
    contract: type, kind: Any, only: Collection[str] | None = None, **settings: Any
) -> dict[str, BaseException]:
    """Run a suite on an implementation, and return the first failure of each failed test.

    :param contract: A subclass of a contract and of :class:`Applied`.
    :param kind: The class of the implementation.
    :param only: The names of the tests to run; all by default.
    :param settings: Class attributes to set on the contract.
    """
    applied = type(contract.__name__, (contract,), {"kind": kind, **settings})
    found: dict[str, BaseException] = {}
    for name, function in functions_of(applied).items():
        if only is not None and name not in only:
            continue
        for arguments in _cases(function):
            try:
                await _run(applied(), function, arguments)
            except pytest.skip.Exception:
                pass
            except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - part of the result
                found[name] = error
                break
    return found


async def _run(instance: Any, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    given = dict(arguments)
    for name in inspect.signature(function).parameters:
        if name != "self" and name not in given:
            given[name] = await getattr(instance, f"make_{name}")()
    # The timeout lets the other mutants run if the fault is an operation that never ends.
    async with asyncio.timeout(60):
        await function(instance, **given)


def _cases(function: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Expand the parametrize marks of a test."""
    axes = []
    for mark in getattr(function, "pytestmark", []):
        if mark.name != "parametrize":
            continue
        name, values = mark.args
        axes.append([(name, value) for value in values])
    for case in itertools.product(*axes):
        yield dict(case)


@pytest.fixture
def few_examples() -> Iterator[None]:
    """Limit hypothesis to a few reproducible examples: these tests check the suite."""
    before = hypothesis.settings.get_current_profile_name()
    hypothesis.settings.register_profile(
        "mutation",
        max_examples=10,
        derandomize=True,
        database=None,
        phases=[hypothesis.Phase.generate],
    )
    hypothesis.settings.load_profile("mutation")
    yield
    hypothesis.settings.load_profile(before)
