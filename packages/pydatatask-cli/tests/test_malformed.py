"""If one record or value cannot be read, commands still process the others."""

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
    """Run a pipeline in which all jobs but ``a`` fail, then damage all records but ``c``."""
    program.put("texts/a.txt", "one two")
    for job in ("c", *RECORDS):
        program.put(f"texts/{job}.txt", "")
    program.output("run", "--ok-failures")
    for job, record in RECORDS.items():
        program.put(f"count-done/{job}.yaml", record)
    os.truncate(program.folder / "data/count-done/large.yaml", (64 << 20) + 1)
    return program


def assert_named(errors: str) -> None:
    """Check that there is a separate error for each damaged record."""
    lines = [line for line in errors.splitlines() if line.startswith("Error: ")]
    assert len(lines) == len(RECORDS)
    for job in RECORDS:
        (line,) = [line for line in lines if f"job {job!r}" in line]
        assert f"count-done/{job}.yaml" in line


def test_failed_shows_the_other_jobs_and_then_the_damaged_records(malformed: Program) -> None:
    done = malformed.run("failed", "-n", "0")
    assert done.returncode == 1
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["count", "c"]]
    assert_named(done.stderr)

    as_json = malformed.run("failed", "--json")
    assert as_json.returncode == 1
    assert [failure["job"] for failure in json.loads(as_json.stdout)["failed"]] == ["c"]


def test_retry_deletes_the_other_records_and_a_damaged_one_if_its_job_is_named(
    malformed: Program,
) -> None:
    done = malformed.run("retry", "count", "--failed")
    assert (done.returncode, done.stdout) == (1, "c\n")
    assert_named(done.stderr)

    assert malformed.output("retry", "count", *RECORDS) == "".join(f"{job}\n" for job in RECORDS)
    assert malformed.output("ls", "count.done") == "a\n"


def test_status_plan_and_run_process_the_other_jobs(malformed: Program) -> None:
    assert "count.done 7\n" in malformed.output("status")
    malformed.put("texts/d.txt", "one")
    assert malformed.output("plan") == "launch count d\n"

    malformed.run("run", "--ok-failures")

    assert malformed.output("ls", "re-port.re-ports") == "a\nd\n"
    assert "job twice is not ready for re-port" in malformed.output("explain", "re-port", "twice")


def test_export_writes_the_other_values_and_reports_the_failures(program: Program) -> None:
    for job in ("a", "b", "c"):
        program.put(f"counts/{job}.yaml", "words: 1")
    program.put("counts/b.yaml", "words: 1\nwords: 2")

    done = program.run("export", "count.counts", "out")

    assert done.returncode == 1
    assert sorted(path.name for path in (program.folder / "out").iterdir()) == ["a.yaml", "c.yaml"]
    assert "2 values of count.counts were written to out\n" in done.stderr
    assert "b.yaml', line 2, column 1: the key 'words' occurs twice, first in line 1" in done.stderr


def test_inject_refuses_a_duplicate_key(program: Program) -> None:
    error = program.refusal("inject", "count.counts", "a", stdin=b"words: 1\nwords: 2\n")

    assert "line 2, column 1: the key 'words' occurs twice" in error
    assert program.output("ls", "count.counts") == ""


def test_cat_prints_everything_that_yaml_supports_also_as_json(program: Program) -> None:
    text = "2024-05-01: 1\nnull: !!set\n  a: null\nb: !!pairs\n- c: 1\n? !!binary |\n  AA==\n: 2\n"
    program.put("counts/a.yaml", text)

    assert program.output("cat", "count.counts", "a") == text
    found = json.loads(program.output("cat", "--json", "count.counts", "a"))
    assert found == {"2024-05-01": 1, "null": ["a"], "b": [["c", 1]], "AA==": 2}
