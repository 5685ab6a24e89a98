"""Each law fails if a repository deliberately breaks it, and no other law fails with it."""

from __future__ import annotations

from typing import Any

import pytest

from .applied import OverBlobs, OverMetadata, OverNames
from .harness import Mutant, failures, few_examples, functions_of, law_of
from .mutants_of_blobs import MUTANTS as BLOB_MUTANTS
from .mutants_of_membership import MUTANTS as MEMBERSHIP_MUTANTS
from .mutants_of_metadata import MUTANTS as METADATA_MUTANTS
from .mutants_of_publication import MUTANTS as PUBLICATION_MUTANTS
from .mutants_of_upkeep import MUTANTS as OPERATION_MUTANTS
from .mutants_of_writing import MUTANTS as WRITING_MUTANTS

__all__ = ["few_examples"]

MUTANTS = {
    OverNames: [*MEMBERSHIP_MUTANTS, *OPERATION_MUTANTS],
    OverBlobs: [*PUBLICATION_MUTANTS, *WRITING_MUTANTS, *BLOB_MUTANTS],
    OverMetadata: METADATA_MUTANTS,
}
CASES = [(contract, mutant) for contract, mutants in MUTANTS.items() for mutant in mutants]


@pytest.mark.usefixtures("few_examples")
@pytest.mark.parametrize(
    ("contract", "mutant"), CASES, ids=[mutant.kind.__name__ for _, mutant in CASES]
)
async def test_the_suite_detects_the_fault_and_nothing_else(contract: Any, mutant: Mutant) -> None:
    found = await failures(contract, mutant.kind, **mutant.settings)
    functions = functions_of(contract)
    assert mutant.caught_by <= found.keys()
    assert {law_of(functions[name]) for name in found} == mutant.laws


@pytest.mark.parametrize("contract", MUTANTS)
def test_every_test_of_the_suite_detects_a_fault(contract: Any) -> None:
    inherited = set() if contract is OverNames else functions_of(OverNames).keys()
    caught = {name for mutant in MUTANTS[contract] for name in mutant.caught_by}
    assert functions_of(contract).keys() - inherited - caught == set()
