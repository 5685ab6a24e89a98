"""Each test of the suite of tasks fails for a task that breaks its law."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.testing import TaskContract, TaskLab

from .harness import Mutant, failures, functions_of, law_of
from .mutants_of_tasks import KINDS, MUTANTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydatatask_core import Task


class OverTask(TaskContract):
    """The contract, applied to a class of task."""

    kind: Any
    labs: list[TaskLab]
    root: Path

    async def make_lab(self) -> TaskLab:
        self.labs.append(TaskLab(Path(tempfile.mkdtemp(dir=self.root))))
        return self.labs[-1]

    def make_task(self, lab: TaskLab, **options: Any) -> Task:
        task: Task = self.kind(lab, **options)
        return task


@pytest.fixture
def place(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Return settings for the labs of a test, and resume their jobs when the test ends."""
    labs: list[TaskLab] = []
    yield {"root": tmp_path, "labs": labs}
    for lab in labs:
        lab.release()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_task_without_a_fault_passes(kind: Any, place: dict[str, Any]) -> None:
    assert await failures(OverTask, kind, **place, **kind.settings) == {}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.kind.__name__)
async def test_the_suite_detects_the_fault(mutant: Mutant, place: dict[str, Any]) -> None:
    settings = {**place, "run_timeout_seconds": 3.0, **mutant.settings}
    found = await failures(OverTask, mutant.kind, mutant.caught_by, **settings)
    assert found.keys() == mutant.caught_by


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.kind.__name__)
def test_the_fault_breaks_the_law_of_its_tests(mutant: Mutant) -> None:
    functions = functions_of(TaskContract)
    assert {law_of(functions[name]) for name in mutant.caught_by} == mutant.laws


def test_every_test_of_the_suite_detects_a_fault() -> None:
    caught = {name for mutant in MUTANTS for name in mutant.caught_by}
    assert functions_of(TaskContract).keys() - caught == set()
