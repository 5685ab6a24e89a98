"""All documented commands, through pipes, as scripts use them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Program

PROCESSES = Path(__file__).parent / "support" / "processes.py"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["cat", "nope.texts", "a"], "no link 'nope.texts'"),
        (["cat", "count.text", "a"], "did you mean 'count.texts'?"),
        (["cat", "count", "a"], "'count' is not the name of a repository"),
        (["cat", "count.texts", "zz"], "no job 'zz' in FileRepository"),
        (["cat", "count.counts", "zz"], "no job 'zz' in YamlMetadataFile"),
        (["cat", "re-port.count_done", "zz"], "no job 'zz' in SucceededRepository"),
        (["cat", "count.texts", "../a"], "'../a' is not a valid job id"),
        (["cat", "count.folders", "a"], "count.folders cannot be printed"),
        (["cat", "--json", "count.texts", "a"], "which JSON cannot represent"),
        (["inject", "count.nope", "a"], "no link 'count.nope'"),
        (["inject", "count.texts", "../a"], "'../a' is not a valid job id"),
        (["inject", "count.folders", "a"], "nothing can be injected into count.folders"),
        (["ls", "count.nope"], "there is no 'count.nope'"),
        (["rm", "count.nope", "a"], "no link 'count.nope'"),
        (["rm", "count.texts", "a/b"], "'a/b' is not a valid job id"),
        (["launch", "nope", "a"], "no task 'nope'; there are: count, re-port"),
        (["launch", "count", "zz"], "job 'zz' is not ready for count"),
    ],
)
def test_the_error_for_a_missing_thing_is_one_sentence_with_the_existing_names(
    program: Program, words: list[str], told: str
) -> None:
    assert told in program.refusal(*words)


def test_the_error_for_an_unknown_command_lists_the_commands(program: Program) -> None:
    told = program.refusal("statsu", status=2)

    assert "did you mean 'status'?" in told
    assert "trace" in told


def test_invalid_yaml_is_reported_with_line_and_column_and_nothing_is_written(
    program: Program,
) -> None:
    told = program.refusal("inject", "count.counts", "a", stdin=b"words: 1\nmore: [2\n")

    assert "line 3, column 1" in told
    assert program.output("ls", "count.counts") == ""


def test_a_traceback_is_shown_only_with_debug(program: Program) -> None:
    done = program.run("--debug", "cat", "count.nope", "a")

    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "no link 'count.nope'" in done.stderr


def test_commands_that_only_read_create_nothing(program: Program) -> None:
    for words in (["status", "-a"], ["trace", "a"], ["ls", "count.texts"]):
        program.output(*words)

    assert not (program.folder / "data").exists()


READING = [
    ["status", "-a"],
    ["ls", "sleep.jobs"],
    ["cat", "sleep.pids", "a"],
    ["trace", "a"],
    ["graph", "--counts"],
    ["failed"],
    ["export", "sleep.pids", "folder"],
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_command_that_only_reads_repositories_needs_no_process_manager(
    program: Program, words: list[str]
) -> None:
    script = PROCESSES.read_text()
    script = script.replace("lambda: HERE", "unreachable").replace(
        "[sleep, later]", "[sleep], SESSION"
    )
    program.script.write_text(script.replace("QUOTA =", UNREACHABLE))
    program.put("jobs/a")
    program.put("sleep-pids/a.yaml", "pid: 1")

    program.output(*words)

    assert "the machine is unreachable" in program.refusal("plan")


UNREACHABLE = """
SESSION = pydatatask_core.Session()

@SESSION.resource
async def unreachable():
    raise ConnectionError("the machine is unreachable")
    yield

QUOTA ="""

FILES_TOUCHED = """
import sys, threading
import main

files = set()

def count(frame, event, arg):
    if event == "call" and frame.f_code.co_name != "<module>":
        files.add(frame.f_code.co_filename)

from pydatatask_cli import make_group
group = make_group(main.pipeline)
threading.setprofile(count)
sys.setprofile(count)
group.main(["status"], standalone_mode=False)
sys.setprofile(None)
print(sum("/src/pydatatask" in name for name in files))
"""
MOST_FILES_TOUCHED = 25


def test_status_uses_few_files_of_our_packages(program: Program) -> None:
    program.script.write_text(PROCESSES.read_text())
    program.put("jobs/a")
    done = subprocess.run(
        [sys.executable, "-c", FILES_TOUCHED],
        cwd=program.folder,
        env=program.environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "sleep.jobs 1" in done.stdout
    assert 10 < int(done.stdout.split()[-1]) <= MOST_FILES_TOUCHED


def test_status_prints_a_line_for_each_link_inputs_first(program: Program) -> None:
    program.put("texts/a.txt", "one two")
    program.put("texts/b.txt", "one")
    program.put("counts/a.yaml", "words: 2")

    assert program.output("status") == (
        "count\ncount.texts 2\ncount.done 0\ncount.counts 1\n\n"
        "re-port\nre-port.counts 1\nre-port.done 0\nre-port.re-ports 0\n\n"
    )


def test_status_shows_links_without_a_kind_with_all(program: Program) -> None:
    (program.folder / "data" / "folders" / "x").mkdir(parents=True)

    assert "count.folders 1\n" in program.output("status", "-a")
    assert "count.folders" not in program.output("status")


def test_status_shows_counts_beside_repositories_that_cannot_be_listed(program: Program) -> None:
    program.put("texts/a.txt", "one two")
    program.put("counts", "a file where a folder belongs")

    done = program.run("status")

    assert done.returncode == 1
    assert "count.texts 1\n" in done.stdout
    assert "count.counts ?\n" in done.stdout
    assert done.stderr.count("Error: could not list") == 1


def test_status_as_json_has_the_same_content(program: Program) -> None:
    program.put("texts/a.txt", "one two")

    found = json.loads(program.output("status", "--json"))

    assert [task["name"] for task in found["tasks"]] == ["count", "re-port"]
    assert found["tasks"][0] == {
        "name": "count",
        "disabled": False,
        "links": [
            {"name": "texts", "kind": "input", "count": 1},
            {"name": "done", "kind": "status", "count": 0},
            {"name": "counts", "kind": "output", "count": 0},
        ],
    }


def test_trace_prints_the_jobs_that_are_present(program: Program) -> None:
    program.put("texts/a.txt", "one two")
    program.put("texts/b.txt", "one")
    program.put("counts/b.yaml", "words: 2")

    assert program.output("trace", "b", "a", "zz") == (
        "count\ncount.texts b a\ncount.done\ncount.counts b\n\n"
        "re-port\nre-port.counts b\nre-port.done\nre-port.re-ports\n\n"
    )
    links = json.loads(program.output("trace", "--json", "b"))["tasks"][0]["links"]
    assert [link["jobs"] for link in links] == [["b"], [], ["b"]]


def test_ls_prints_sorted_jobs_of_an_expression_over_any_number_of_words(program: Program) -> None:
    for job in ("c", "a", "b"):
        program.put(f"texts/{job}.txt")
    program.put("counts/b.yaml", "words: 2")

    assert program.output("ls", "count.texts") == "a\nb\nc\n"
    assert program.output("ls", "count.texts", "-", "count.counts") == "a\nc\n"
    assert program.output("ls", "count.texts - re-port.counts | re-port.re-ports") == "a\nc\n"
    assert json.loads(program.output("ls", "--json", "count.counts")) == {"jobs": ["b"]}


def test_an_error_in_an_expression_has_a_caret_under_it(program: Program) -> None:
    told = program.refusal("ls", "count.texts", "&", "(count.done")

    assert told.endswith("  count.texts & (count.done\n                ^\n")


def test_cat_prints_the_bytes_that_inject_wrote(program: Program) -> None:
    data = bytes(range(256)) * 9000 + b"\r\n\xff"

    assert program.output("inject", "count.texts", "a", stdin=data) == ""

    assert (program.folder / "data/texts/a.txt").read_bytes() == data
    (program.folder / "file").write_bytes(data)
    program.output("inject", "count.texts", "b", "--file", "file")
    assert (program.folder / "data/texts/b.txt").read_bytes() == data


def test_metadata_is_read_and_printed_as_yaml_or_json(program: Program) -> None:
    program.output("inject", "count.counts", "a", stdin=b"{words: 3, at: 2020-01-02T03:04:05Z}")

    assert "words: 3" in program.output("cat", "count.counts", "a")
    assert json.loads(program.output("cat", "--json", "count.counts", "a")) == {
        "words": 3,
        "at": "2020-01-02T03:04:05+00:00",
    }


def test_run_lists_failed_jobs_and_exits_non_zero_for_new_failures_only(
    program: Program,
) -> None:
    program.put("texts/a.txt", "one two")
    program.put("texts/b.txt", "")

    first, second = program.run("run"), program.run("run")

    assert first.returncode == 1
    assert "failed: count 1: b\n" in first.stdout
    assert "launched: count 2, re-port 1" in first.stdout
    assert (program.folder / "data/reports/a.txt").read_text() == "2 words\n"
    assert (second.returncode, second.stdout[:17]) == (0, "launched: nothing")


def test_run_exits_with_0_despite_failures_with_ok_failures(program: Program) -> None:
    program.put("texts/b.txt", "")

    summary = json.loads(program.output("run", "--ok-failures", "--json"))

    assert (summary["launched"], summary["failed"]) == ({"count": 1}, {"count": ["b"]})


def test_an_update_that_failed_in_part_exits_with_1(program: Program) -> None:
    program.put("texts/b.txt", "")
    program.output("update", "--ok-failures")
    texts = program.folder / "data/texts"
    shutil.rmtree(texts)
    texts.write_text("")

    ended = program.run("update")

    assert ended.returncode == 1
    assert "data/texts" in ended.stderr


def test_run_stops_after_the_timeout(program: Program) -> None:
    told = program.refusal("run", "--forever", "--timeout", "0.5")

    assert "not quiet after 0.5 s" in told


def test_launch_once_launches_no_dependent_jobs(program: Program) -> None:
    program.put("texts/a.txt", "one two")

    program.output("run", "--launch-once")

    assert program.output("ls", "count.counts") == "a\n"
    assert program.output("ls", "re-port.re-ports") == ""


def test_update_runs_one_round(program: Program) -> None:
    program.put("texts/a.txt", "one two")

    program.output("update")
    assert program.output("ls", "re-port.re-ports") == ""
    program.output("update")

    assert program.output("ls", "re-port.re-ports") == "a\n"


def test_launch_runs_one_job_and_records_nothing_with_no_meta(program: Program) -> None:
    program.put("texts/a.txt", "one two")
    program.put("texts/b.txt", "one two")

    program.output("launch", "count", "a")
    program.output("launch", "--no-meta", "--sync", "count", "b")

    assert program.output("ls", "count.counts") == "a\nb\n"
    assert program.output("ls", "count.done") == "a\n"


def test_launch_refuses_a_job_that_is_done_unless_forced(program: Program) -> None:
    program.put("texts/a.txt", "one two")
    program.put("count-done/a.yaml", "{}")

    assert "not ready" in program.refusal("launch", "count", "a")
    program.output("launch", "-f", "count", "a")

    assert program.output("ls", "count.counts") == "a\n"


def test_rm_deletes_from_one_repository_and_accepts_missing_jobs(program: Program) -> None:
    program.put("texts/a.txt")
    program.put("texts/b.txt")
    program.put("counts/a.yaml", "words: 2")

    done = program.run("rm", "count.texts", "a", "zz")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[-1] == "there is no job 'zz' in count.texts"
    assert "'a'" not in done.stderr
    assert program.output("ls", "count.texts") == "b\n"
    assert program.output("ls", "count.counts") == "a\n"
    program.output("rm", "count.texts", "__all__")
    assert program.output("ls", "count.texts") == ""


def test_rm_r_deletes_dependent_values_without_a_prompt_in_a_script(program: Program) -> None:
    for job in ("a", "b"):
        program.put(f"texts/{job}.txt", "one two")
    program.output("run")

    shown = program.output("rm", "-r", "-n", "count.counts", "a")
    program.output("rm", "-r", "count.counts", "a")

    assert sorted(shown.splitlines()) == [
        "count.counts a",
        "re-port.done a",
        "re-port.re-ports a",
    ]
    assert program.output("ls", "count.texts & count.done") == "a\nb\n"
    assert program.output("ls", "count.counts | re-port.re-ports | re-port.done") == "b\n"


def test_rm_only_lists_on_a_dry_run(program: Program) -> None:
    program.put("texts/a.txt")

    assert program.output("rm", "-n", "count.texts", "__all__") == "count.texts a\n"
    assert program.output("ls", "count.texts") == "a\n"
