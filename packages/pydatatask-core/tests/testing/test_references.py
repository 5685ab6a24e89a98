"""The suites pass for correct repositories."""

from __future__ import annotations

from typing import Any

import pytest

from .applied import OverBlobs, OverMetadata, OverNames
from .harness import failures, few_examples, functions_of, law_of
from .reference import MinimalRepository, ReferenceBlobs, ReferenceMetadata, ReferenceRepository

__all__ = ["few_examples"]

APPLIED = [
    (OverNames, ReferenceRepository),
    (OverBlobs, ReferenceBlobs),
    (OverMetadata, ReferenceMetadata),
]


@pytest.mark.usefixtures("few_examples")
@pytest.mark.parametrize(("contract", "kind"), APPLIED)
async def test_a_correct_repository_passes(contract: Any, kind: Any) -> None:
    assert await failures(contract, kind) == {}


async def test_the_documented_methods_suffice() -> None:
    assert await failures(OverNames, MinimalRepository, breakable=False, stores=False) == {}


@pytest.mark.parametrize(("contract", "kind"), APPLIED)
def test_each_test_names_its_law(contract: Any, kind: Any) -> None:
    laws = {name: law_of(function) for name, function in functions_of(contract).items()}
    unnamed = {name for name, law in laws.items() if law not in {f"R{n}" for n in range(1, 11)}}
    assert unnamed == set()
