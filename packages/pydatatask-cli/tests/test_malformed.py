"""One record or value that cannot be read does not keep the commands from the others."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Program

ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 8)
)
RECORDS = {
    "unfinished": "success: false\nreason: [",
    "twice": "success: false\nsuccess: true\n",
    "deep": "[" * 10_000 + "]" * 10_000,
    "aliases": ALIASES,
    "large": "success: false\n",
}


@pytest.fixture
def malformed(program: Program) -> Program:
    """Run a pipeline in which all jobs but ``a`` fail; then all records but ``c``'s are damaged."""
    program.put("texts/a.txt", "one two")
    for job in ("c", *RECORDS):
        program.put(f"texts/{job}.txt", "")
    program.output("run", "--ok-failures")
    for job, record in RECORDS.items():
        program.put(f"count-done/{job}.yaml", record)
    os.truncate(program.folder / "data/count-done/large.yaml", (64 << 20) + 1)
    return program


def assert_named(errors: str) -> None:
    """Check that each damaged record is named in an error of its own."""
    lines = [line for line in errors.splitlines() if line.startswith("Error: ")]
    assert len(lines) == len(RECORDS)
    for job in RECORDS:
        (line,) = [line for line in lines if f"job {job!r}" in line]
        assert f"count-done/{job}.yaml" in line


def test_failed_shows_the_others_and_then_names_the_records(malformed: Program) -> None:
    done = malformed.run("failed", "-n", "0")
    assert done.returncode == 1
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["count", "c"]]
    assert_named(done.stderr)

    as_json = malformed.run("failed", "--json")
    assert as_json.returncode == 1
    assert [failure["job"] for failure in json.loads(as_json.stdout)["failed"]] == ["c"]


def test_retry_takes_the_others_away_and_a_record_if_it_is_named(malformed: Program) -> None:
    done = malformed.run("retry", "count", "--failed")
    assert (done.returncode, done.stdout) == (1, "c\n")
    assert_named(done.stderr)

    assert malformed.output("retry", "count", *RECORDS) == "".join(f"{job}\n" for job in RECORDS)
    assert malformed.output("ls", "count.done") == "a\n"


def test_status_plan_and_run_go_on_with_the_others(malformed: Program) -> None:
    assert "count.done 7\n" in malformed.output("status")
    malformed.put("texts/d.txt", "one")
    assert malformed.output("plan") == "launch count d\n"

    malformed.run("run", "--ok-failures")

    assert malformed.output("ls", "re-port.re-ports") == "a\nd\n"
    assert "job twice is not ready for re-port" in malformed.output("explain", "re-port", "twice")


def test_export_writes_the_others_and_names_what_it_could_not(program: Program) -> None:
    for job in ("a", "b", "c"):
        program.put(f"counts/{job}.yaml", "words: 1")
    program.put("counts/b.yaml", "words: 1\nwords: 2")

    done = program.run("export", "count.counts", "out")

    assert done.returncode == 1
    assert sorted(path.name for path in (program.folder / "out").iterdir()) == ["a.yaml", "c.yaml"]
    assert "2 values of count.counts are in out\n" in done.stderr
    assert "b.yaml', line 2, column 1: the key 'words' occurs twice, first in line 1" in done.stderr


def test_inject_refuses_a_key_that_occurs_twice(program: Program) -> None:
    error = program.refusal("inject", "count.counts", "a", stdin=b"words: 1\nwords: 2\n")

    assert "line 2, column 1: the key 'words' occurs twice" in error
    assert program.output("ls", "count.counts") == ""


def test_cat_prints_all_that_yaml_holds_also_as_json(program: Program) -> None:
    text = "2024-05-01: 1\nnull: !!set\n  a: null\nb: !!pairs\n- c: 1\n? !!binary |\n  AA==\n: 2\n"
    program.put("counts/a.yaml", text)

    assert program.output("cat", "count.counts", "a") == text
    found = json.loads(program.output("cat", "--json", "count.counts", "a"))
    assert found == {"2024-05-01": 1, "null": ["a"], "b": [["c", 1]], "AA==": 2}
