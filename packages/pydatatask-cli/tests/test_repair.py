"""Commands for diagnosis and repair."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pydatatask_core import decode_job_id

if TYPE_CHECKING:
    from conftest import Program

PROCESSES = Path(__file__).parent / "support" / "processes.py"


@pytest.fixture
def failed(program: Program) -> Program:
    """Run a pipeline in which job ``a`` succeeds and job ``b`` fails."""
    program.put("texts/a.txt", "one two")
    program.put("texts/b.txt", "")
    program.output("run", "--ok-failures")
    return program


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["explain", "nope", "a"], "no task 'nope'"),
        (["explain", "count", "a/b"], "'a/b' is not a valid job id"),
        (["failed", "nope"], "no task 'nope'"),
        (["retry", "nope", "a"], "no task 'nope'"),
        (["retry", "count", "zz"], "job 'zz' of count has not ended"),
        (["kill", "nope", "a"], "no task 'nope'"),
        (["logs", "nope", "a"], "no task 'nope'"),
        (["logs", "count", "zz"], "no output or record of job 'zz' of count was found"),
        (["kill", "count", "a"], "run in the process that drives them"),
        (["export", "count.nope", "out"], "no link 'count.nope'"),
        (["export", "count.folders", "out"], "cannot be exported"),
    ],
)
def test_a_missing_thing_is_reported_in_one_sentence(
    program: Program, words: list[str], told: str
) -> None:
    assert told in program.refusal(*words)


def test_explain_shows_the_missing_and_the_inhibiting_repository(failed: Program) -> None:
    lines = failed.output("explain", "re-port", "b").splitlines()

    assert lines[0] == "job b is not ready for re-port"
    assert lines[1] == "because (all of these have to change):"
    assert sorted(lines[2:4]) == [
        "  count_done: it has not failed there: no",
        "  counts does not have b: YamlMetadataFileRepository('data/counts')",
    ]

    lines = failed.output("explain", "count", "a").splitlines()

    assert lines[1:3] == [
        "because:",
        "  done has a: YamlMetadataFileRepository('data/count-done')",
    ]


def test_explain_shows_that_a_job_is_ready(program: Program) -> None:
    program.put("texts/a.txt", "one")

    assert program.output("explain", "count", "a").startswith("job a is ready for count\n")
    found = json.loads(program.output("explain", "--json", "count", "a"))
    assert (found["ready"], found["held"], found["tree"]["holds"]) == (True, None, True)


def test_logs_of_a_job_without_output_print_a_note_on_stderr(failed: Program) -> None:
    done = failed.run("logs", "count", "a")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "no output of job 'a' of count was kept\n"


def test_failed_shows_jobs_reasons_and_the_end_of_their_output(failed: Program) -> None:
    lines = failed.output("failed").splitlines()

    assert lines[0].startswith("count b 2")
    assert lines[0].endswith("ValueError: there are no words in it")
    assert lines[-1] == "    ValueError: there are no words in it"
    assert len(failed.output("failed", "-n", "0", "count").splitlines()) == 1
    assert failed.output("failed", "re-port") == ""
    (found,) = json.loads(failed.output("failed", "--json"))["failed"]
    assert (found["task"], found["job"]) == ("count", "b")


def test_retry_deletes_exactly_the_values_that_prevent_another_run(failed: Program) -> None:
    assert failed.output("retry", "count", "--failed") == "b\n"

    assert failed.output("ls", "count.done") == "a\n"
    assert failed.output("plan") == "launch count b\n"
    failed.put("texts/b.txt", "one two three")
    failed.output("run")
    assert failed.output("ls", "re-port.re-ports") == "a\nb\n"
    assert failed.output("failed") == ""


def test_retry_with_one_unknown_job_deletes_nothing(failed: Program) -> None:
    failed.refusal("retry", "count", "b", "zz")

    assert failed.output("ls", "count.done") == "a\nb\n"
    assert "add the names of jobs, or --failed" in failed.refusal("retry", "count", status=2)


def test_validate_creates_and_launches_nothing_and_prints_errors(program: Program) -> None:
    done = program.run("validate")

    warned = done.stderr.count("WARNING: ")
    assert done.stdout == f"2 tasks, 7 repositories: no errors, warnings: {warned}\n"
    assert "does not exist yet" in done.stderr
    assert not (program.folder / "data").exists()

    for folder in ("texts", "folders"):
        (program.folder / "data" / folder).mkdir(parents=True)
    assert program.output("validate") == "2 tasks, 7 repositories: nothing is wrong\n"

    program.put("counts", "a file where a folder belongs")

    assert "counts" in program.refusal("validate")


def test_an_invalid_task_does_not_prevent_inspection_of_the_others(
    program: Program,
) -> None:
    script = PROCESSES.read_text().replace('"true"', '"echo {{ job"')
    program.script.write_text(script)
    program.put("jobs/a")

    assert "sleep.jobs 1\n" in program.output("status", "--all")
    plan = program.run("plan")
    assert plan.returncode == 0
    assert plan.stdout.startswith("launch sleep a\n")
    assert "WARNING: later: " in plan.stderr
    for strict in ("validate", "run"):
        assert "later: " in program.refusal(strict)


def test_graph_is_drawn_for_mermaid_and_for_graphviz_with_counts(program: Program) -> None:
    program.put("texts/a.txt", "one")

    mermaid = program.output("graph", "--counts")
    assert mermaid.startswith("flowchart LR\n")
    assert '(["count.texts 1"])' in mermaid
    assert '["re-port"]' in mermaid
    dot = program.output("graph", "--format", "dot")
    assert dot.startswith("digraph pipeline {\n")
    assert '[label="count.texts", shape=ellipse];' in dot
    found = json.loads(program.output("graph", "--json"))
    ids = {node["id"] for node in found["nodes"]}
    assert {edge["from"] for edge in found["edges"]} <= ids


def test_a_folder_can_be_injected_and_exported(program: Program) -> None:
    source = program.folder / "in"
    source.mkdir()
    for name in ("a.txt", "b.txt", ".hidden"):
        (source / name).write_bytes(name.encode() + b"\r\n\xff")

    program.output("inject", "count.texts", "--from", "in")
    program.output("export", "count.texts", "out")

    out = program.folder / "out"
    assert sorted(path.name for path in out.iterdir()) == ["a.txt", "b.txt"]
    assert (out / "b.txt").read_bytes() == b"b.txt\r\n\xff"
    program.output("inject", "count.counts", "a", stdin=b"words: 2")
    program.output("export", "count.counts", "out")
    assert (out / "a.yaml").read_text() == "words: 2\n"


def test_a_folder_with_invalid_names_can_be_injected_with_encode(program: Program) -> None:
    source = program.folder / "in"
    source.mkdir()
    names = ["plain", "a b", "aZbb", "1.2.x", "-", "naïve 日本"]
    for name in names:
        (source / f"{name}.txt").write_text(name)

    program.output("inject", "count.texts", "--from", "in", "--encode")

    jobs = program.output("ls", "count.texts").split()
    assert sorted(map(decode_job_id, jobs)) == sorted(names)
    for job in jobs:
        assert program.output("cat", "count.texts", job) == decode_job_id(job)
    told = program.refusal("inject", "count.texts", "a", "--encode", status=2)
    assert "--encode requires --from" in told


@pytest.mark.parametrize(
    ("names", "told"),
    [(["a-b.txt", "c.txt"], "valid job id"), (["a.x", "a.y"], "result in the same job")],
)
def test_a_folder_with_an_invalid_name_is_refused_as_a_whole(
    program: Program, names: list[str], told: str
) -> None:
    source = program.folder / "in"
    source.mkdir()
    for name in names:
        (source / name).write_text("x")

    assert told in program.refusal("inject", "count.texts", "--from", "in")
    assert program.output("ls", "count.texts") == ""


def test_plan_considers_quotas_and_disabled_tasks(program: Program) -> None:
    program.script.write_text(PROCESSES.read_text())
    for job in ("a", "b", "c"):
        program.put(f"jobs/{job}")

    lines = program.output("plan").splitlines()

    assert lines[:2] == ["launch sleep a", "launch sleep b"]
    assert lines[2] == "wait sleep c the quota of CPU is exhausted"
    assert lines[3:] == [f"wait later {job} the task is disabled" for job in "abc"]
    assert "because the task is disabled" in program.output("explain", "later", "a")


def test_a_foreign_record_affects_no_process_and_can_be_deleted(
    program: Program,
) -> None:
    program.script.write_text(PROCESSES.read_text())
    program.put("jobs/a")
    thesis = program.put("thesis/.stdout", "secret\n").parent
    program.put("sleep-pids/a.yaml", f"handle: {thesis}\nhost: localhost\n")
    told = f"names {str(thesis)!r} as its run directory"

    for command in ("kill", "logs"):
        assert told in program.refusal(command, "sleep", "a")
    assert "is live" in program.refusal("retry", "sleep", "a")
    driven = program.run("run")
    assert driven.returncode == 1
    assert "could not be launched: sleep 1: a" in driven.stdout
    assert told in driven.stderr
    assert program.output("ls", "sleep.pids") == "a\n"

    deleted = program.run("rm", "sleep.pids", "a")
    assert deleted.returncode == 0
    assert "no job is stopped, only the record is deleted: sleep: the record of job 'a'" in (
        deleted.stderr
    )
    assert program.output("ls", "sleep.pids") == ""
    assert (thesis / ".stdout").read_text() == "secret\n"


def test_plan_shows_an_error_of_many_jobs_in_two_lines(program: Program) -> None:
    program.script.write_text(
        PROCESSES.read_text().replace(
            "if __name__",
            """
async def requested_resources(job):
    raise pydatatask_core.PydatataskError(f"job {job} is too much" if job != "d" else "d is odd")


sleep.requested_resources = requested_resources

if __name__""",
        )
    )
    for job in "abcd":
        program.put(f"jobs/{job}")

    lines = [line for line in program.output("plan").splitlines() if " later " not in line]

    assert lines == [
        "wait sleep a it cannot be launched: job a is too much",
        "wait sleep 2 more jobs for the same reason",
        "wait sleep d it cannot be launched: d is odd",
    ]
    whole = json.loads(program.output("plan", "--json"))["wait"]
    assert [each["job"] for each in whole if each["task"] == "sleep"] == list("abcd")


def test_a_live_job_is_killed_while_its_driver_runs_and_counts_as_failed(program: Program) -> None:
    program.script.write_text(PROCESSES.read_text())
    program.put("jobs/a")
    driver = program.start("run", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        while not program.output("ls", "sleep.pids"):
            assert driver.poll() is None

        assert "is live" in program.refusal("retry", "sleep", "a")
        while program.output("logs", "sleep", "a") != "oh no\n":
            assert driver.poll() is None
        following = program.start("logs", "-f", "sleep", "a", stdout=subprocess.PIPE)
        assert following.stdout is not None
        assert following.stdout.readline() == b"oh no\n"
        program.output("kill", "sleep", "a")
        following.communicate(timeout=30)
        assert following.returncode == 0

        driver.communicate(timeout=30)
        assert driver.returncode == 1
    finally:
        if driver.poll() is None:
            driver.send_signal(signal.SIGINT)
            driver.communicate()
    shown = program.output("failed", "sleep")
    assert "killed on request" in shown
    assert "    oh no\n" in shown
    assert program.output("logs", "sleep", "a").startswith("oh no\n")
    assert "is not live" in program.refusal("kill", "sleep", "a")


@pytest.fixture
def held(program: Program) -> Program:
    """Run a pipeline of processes in which job ``a`` succeeds and job ``b`` fails."""
    script = PROCESSES.read_text().replace(
        '"echo began; echo oh no >&2; exec sleep 600"',
        '"echo began {{ job }}; seq 9999 >&2; [ {{ job }} = a ]",\n'
        '    stdout=pydatatask_core.FileRepository("data/out"),',
    )
    program.script.write_text(script)
    for job in ("a", "b"):
        program.put(f"jobs/{job}")
    program.output("run", "--ok-failures")
    assert program.output("ls", "sleep.stdout") == "a\n"
    return program


def held_jobs(program: Program) -> list[str]:
    places = (program.folder / "data" / "processes").glob("*/sleep/*/failed/*")
    return sorted(place.name for place in places)


def test_logs_of_a_failed_process_are_its_complete_output(held: Program) -> None:
    numbers = "".join(f"{number}\n" for number in range(1, 10000))

    shown = held.output("logs", "sleep", "b")

    assert shown == f"==> stdout <==\nbegan b\n\n==> stderr <==\n{numbers}"
    assert "    9999" in held.output("failed", "sleep")


def test_logs_of_a_successful_process_show_the_end_of_its_stderr(held: Program) -> None:
    shown = held.output("logs", "sleep", "a")

    assert shown.startswith("==> stdout <==\nbegan a\n\n==> stderr <==\n")
    assert shown.endswith("\n9998\n9999\n")
    assert len(shown) < 5000


@pytest.mark.parametrize(
    "words",
    [
        ["retry", "sleep", "b"],
        ["retry", "sleep", "--failed"],
        ["rm", "sleep.done", "b"],
        ["rm", "-r", "sleep.jobs", "b"],
        ["rm", "sleep.stdout", "b"],
    ],
)
def test_held_output_is_removed_with_the_record_of_the_failure(
    held: Program, words: list[str]
) -> None:
    assert held_jobs(held) == ["b"]

    held.output(*words)

    assert held_jobs(held) == []


def test_held_output_of_other_jobs_is_kept(held: Program) -> None:
    held.output("rm", "sleep.done", "a")
    held.refusal("retry", "sleep", "b", "zz")

    assert held_jobs(held) == ["b"]
