"""One record or value that cannot be read does not keep the commands from the others."""

from __future__ import annotations

import json
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
    "large": "success: false\nreason: '" + "x" * (64 << 20) + "'\n",
}


@pytest.fixture(params=RECORDS)
def malformed(request: pytest.FixtureRequest, program: Program) -> Program:
    """Run a pipeline, in which jobs ``b`` and ``c`` fail; then the record of ``b`` is damaged."""
    program.put("texts/a.txt", "one two")
    for job in "bc":
        program.put(f"texts/{job}.txt", "")
    program.output("run", "--ok-failures")
    program.put("count-done/b.yaml", RECORDS[request.param])
    return program


def test_failed_shows_the_others_and_then_the_record(malformed: Program) -> None:
    done = malformed.run("failed", "-n", "0")
    assert done.returncode == 1
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["count", "c"]]
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert "job 'b'" in error
    assert "count-done/b.yaml" in error

    as_json = malformed.run("failed", "--json")
    assert as_json.returncode == 1
    assert [failure["job"] for failure in json.loads(as_json.stdout)["failed"]] == ["c"]


def test_retry_takes_the_others_away_and_the_record_if_it_is_named(malformed: Program) -> None:
    done = malformed.run("retry", "count", "--failed")
    assert (done.returncode, done.stdout) == (1, "c\n")
    assert "job 'b'" in done.stderr

    assert malformed.output("retry", "count", "b") == "b\n"
    assert malformed.output("ls", "count.done") == "a\n"


def test_status_plan_and_run_go_on_with_the_others(malformed: Program) -> None:
    assert "count.done 3\n" in malformed.output("status")
    malformed.put("texts/d.txt", "one")
    assert "launch count d" in malformed.output("plan")

    malformed.run("run", "--ok-failures")

    assert malformed.output("ls", "re-port.re-ports") == "a\nd\n"
    assert "job b is not ready for re-port" in malformed.output("explain", "re-port", "b")


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
