"""Display of jobs that an earlier run recorded as successes although they lack an output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Program

TOLD = "done without output: count.counts 1: pets"


@pytest.fixture
def lacking(program: Program) -> Program:
    """Run a pipeline, and delete the output of one job, as an older release could leave it."""
    program.put("texts/zoo.txt", "one two")
    program.put("texts/pets.txt", "three")
    program.output("run")
    (program.folder / "data" / "counts" / "pets.yaml").unlink()
    return program


def test_status_lists_them_at_the_end(lacking: Program) -> None:
    assert lacking.output("status").rstrip().endswith(TOLD)


def test_status_as_json_has_them_beside_the_links_of_their_task(lacking: Program) -> None:
    tasks = json.loads(lacking.output("status", "--json"))["tasks"]
    assert tasks[0]["done_without_output"] == {"counts": ["pets"]}
    assert "done_without_output" not in tasks[1]


def test_validate_warns_of_them_without_an_error(lacking: Program) -> None:
    done = lacking.run("validate")
    assert done.returncode == 0
    assert "1 jobs are done without output `counts`: pets" in done.stderr
    assert "no errors, warnings: 1" in done.stdout


def test_run_lists_them_at_its_end_and_exits_with_0(lacking: Program) -> None:
    assert TOLD in lacking.output("run").splitlines()
    found = json.loads(lacking.output("run", "--json"))
    assert found["done_without_output"] == {"count": {"counts": ["pets"]}}


def test_nothing_is_printed_if_no_output_is_missing(lacking: Program) -> None:
    lacking.output("retry", "count", "pets")
    assert "without output" not in lacking.output("run")
    assert "without output" not in lacking.output("status")
    assert "done_without_output" not in lacking.output("run", "--json")
