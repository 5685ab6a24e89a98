"""Interruption of a program, and readers that close their pipe."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

if TYPE_CHECKING:
    from conftest import Program

LARGE = 64 << 20
COLOUR = r"(?:\x1b\[[\d;]*m)*"
PROCESSES = Path(__file__).parent / "support" / "processes.py"


def test_an_interrupted_inject_leaves_nothing_and_exits_130(program: Program) -> None:
    running = program.start(
        "inject", "count.texts", "a", stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdin is not None
    running.stdin.write(b"x" * (4 << 20))  # more than a pipe holds, so the program reads it
    running.stdin.flush()

    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=20)

    assert running.returncode == 130
    assert b"Traceback" not in told
    assert _left(program.folder / "data" / "texts") == []


def _left(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.is_dir() else []


CLOSED = ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("words", ["run", "update", "status", "rm count.done a"])
def test_a_closed_standard_stream_is_like_a_null_file(
    program: Program, words: str, closed: str
) -> None:
    program.put("texts/a.txt", "one two")
    command = f"exec {shlex.join(program.command())} {words} {closed}"

    done = subprocess.run(
        ["sh", "-c", command],
        cwd=program.folder,
        env=program.environment,
        capture_output=True,
        check=False,
        timeout=50,
    )

    assert done.returncode == 0, done
    assert b"Traceback" not in done.stdout + done.stderr
    if words in ("run", "update"):
        assert _left(program.folder / "data" / "count-done") == ["a.yaml"]


def test_a_reader_that_closes_its_pipe_causes_no_error(program: Program) -> None:
    program.put("texts/a.txt").write_bytes(b"x" * LARGE)
    running = program.start(
        "cat", "count.texts", "a", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert running.stdout is not None
    assert running.stderr is not None

    assert running.stdout.read(10) == b"x" * 10
    running.stdout.close()

    assert running.stderr.read() == b""
    assert running.wait(20) == 141
    running.stderr.close()


def test_a_reader_of_lines_that_closes_its_pipe_causes_no_error(program: Program) -> None:
    for number in range(3000):
        program.put(f"texts/{number:0100}.txt")

    command = f"'{sys.executable}' main.py ls count.texts | head -1"
    done = subprocess.run(
        ["sh", "-c", command], cwd=program.folder, capture_output=True, check=True, timeout=50
    )

    assert done.stderr == b""
    assert done.stdout == b"0" * 100 + b"\n"


MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
"""


def _peak(program: Program, *words: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *program.command(*words)],
        cwd=program.folder,
        capture_output=True,
        check=True,
        timeout=50,
    )
    return int(done.stderr.splitlines()[-1])


def test_a_value_of_any_size_is_copied_in_bounded_memory(program: Program) -> None:
    small = program.put("texts/small.txt", "x")
    large = program.folder / "large"
    large.write_bytes(b"x" * LARGE)

    usual = _peak(program, "cat", "count.texts", "small")
    put = _peak(program, "inject", "count.texts", "large", "--file", str(large))
    got = _peak(program, "cat", "count.texts", "large")

    assert small.parent.joinpath("large.txt").stat().st_size == LARGE
    assert max(put, got) - usual < LARGE / 1024 / 2


@pytest.mark.parametrize("own", [True, False], ids=["script", "console program"])
def test_ctrl_c_during_imports_shows_no_traceback(program: Program, own: bool) -> None:
    early = f"""
import sys

class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == "click":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
import pydatatask_cli
{
        "pydatatask_cli.main(__import__('pydatatask_core').Pipeline([]))"
        if own
        else "__import__('pydatatask_cli.entry').entry.console_script()"
    }
"""
    program.script.write_text(early)

    assert program.refusal("status", status=130) == "Interrupted\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminated_run_ends_as_after_an_interrupt(
    program: Program, number: signal.Signals
) -> None:
    program.script.write_text(PROCESSES.read_text())
    program.put("jobs/a")
    inherited = signal.signal(number, signal.SIG_DFL)  # `nohup` lets its children ignore SIGHUP
    try:
        running = terminal(program, "run")
    finally:
        signal.signal(number, inherited)
    try:
        while not program.output("ls", "sleep.pids"):
            assert running.isalive()
        running.kill(number)
        running.expect_exact("jobs that go on, and that the next run will adopt: sleep 1")
        running.expect_exact("\x1b[?25h")  # the cursor is visible again
        running.expect(pexpect.EOF)
        running.close()
    finally:
        program.output("kill", "sleep", "a")
        program.run("run")
    assert running.exitstatus == 128 + number


def test_an_ignored_signal_stays_ignored(program: Program) -> None:
    program.script.write_text(PROCESSES.read_text())
    program.put("jobs/a")
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, str(program.script)]
    running = subprocess.Popen([*command, "run"], cwd=program.folder, stderr=subprocess.PIPE)
    try:
        while not program.output("ls", "sleep.pids"):
            assert running.poll() is None
        running.send_signal(signal.SIGHUP)
    finally:
        program.output("kill", "sleep", "a")
    _, told = running.communicate(timeout=30)
    assert running.returncode == 1, told


def test_an_interrupted_run_lists_jobs_that_go_on_and_the_next_run_counts_them(
    program: Program,
) -> None:
    program.script.write_text(PROCESSES.read_text())
    program.put("jobs/a")
    running = program.start("run", stderr=subprocess.PIPE)
    try:
        while not program.output("ls", "sleep.pids"):
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=20)

        assert running.returncode == 130
        assert b"jobs that go on, and that the next run will adopt: sleep 1\n" in told

        following = terminal(program, "run")
        following.expect("sleep +0 +1 +0 +0")
    finally:
        program.output("kill", "sleep", "a")
    following.expect(rf"sleep +0 +0 +{COLOUR} *1{COLOUR} +{COLOUR} *1")
    following.expect_exact("launched: nothing")
    following.expect(pexpect.EOF)
    following.close()

    assert following.exitstatus == 1


def test_ctrl_c_ends_a_run_with_130(program: Program) -> None:
    running = program.start("run", "--forever", stderr=subprocess.PIPE)
    program.put("texts/a.txt", "one two")
    report = program.folder / "data" / "reports" / "a.txt"
    while not report.exists():
        assert running.poll() is None

    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=20)

    assert running.returncode == 130
    assert b"Interrupted" in told
    assert b"Traceback" not in told


def terminal(program: Program, *words: str) -> pexpect.spawn[str]:
    environ = {**program.environment, "TERM": "xterm"}
    environ.pop("NO_COLOR", None)
    arguments = program.command(*words)
    return pexpect.spawn(
        arguments[0],
        arguments[1:],
        cwd=str(program.folder),
        env=environ,
        encoding="utf-8",
        timeout=30,
        dimensions=(40, 120),
    )


def test_rm_r_on_a_terminal_lists_the_values_and_asks(program: Program) -> None:
    program.put("texts/a.txt", "one")
    program.put("counts/a.yaml", "words: 2")

    refused = terminal(program, "rm", "-r", "count.texts", "a")
    refused.expect_exact("count.texts a")
    refused.expect_exact("count.counts a")
    refused.expect_exact("Delete these 2 values?")
    refused.sendline("n")
    refused.expect(pexpect.EOF)
    refused.close()

    assert refused.exitstatus == 1
    assert program.output("ls", "count.texts") == "a\n"

    granted = terminal(program, "rm", "-r", "count.texts", "a")
    granted.expect_exact("Delete these 2 values?")
    granted.sendline("y")
    granted.expect(pexpect.EOF)
    granted.close()

    assert granted.exitstatus == 0
    assert program.output("ls", "count.texts | count.counts") == ""


def test_ctrl_c_at_the_prompt_of_rm_r_deletes_nothing_and_exits_130(program: Program) -> None:
    program.put("texts/a.txt", "one")

    running = terminal(program, "rm", "-r", "count.texts", "a")
    running.expect_exact("Delete this value? [y/N]")
    running.sendintr()
    running.expect_exact("\r\nInterrupted")
    running.expect(pexpect.EOF)
    running.close()

    assert running.exitstatus == 130
    assert program.output("ls", "count.texts") == "a\n"


def test_rm_r_on_a_terminal_does_not_ask_with_yes(program: Program) -> None:
    program.put("texts/a.txt", "one")

    running = terminal(program, "rm", "-r", "--yes", "count.texts", "a")
    running.expect(pexpect.EOF)
    running.close()

    assert running.exitstatus == 0
    assert "Delete" not in str(running.before)
    assert program.output("ls", "count.texts") == ""


def test_tables_on_a_terminal_have_colours(program: Program) -> None:
    program.put("texts/a.txt", "one")

    for words in (["status"], ["trace", "a"]):
        running = terminal(program, *words)
        running.expect(pexpect.EOF)
        running.close()

        assert running.exitstatus == 0
        assert "\x1b[" in str(running.before)
        assert "task" in str(running.before)


def test_run_on_a_terminal_shows_a_live_table_and_then_a_summary(program: Program) -> None:
    program.put("texts/a.txt", "one")
    program.put("texts/b.txt", "")

    running = terminal(program, "run")
    running.expect_exact("time left")
    running.expect_exact("launched: count 2, re-port 1")
    running.expect_exact("failed: count 1: b")
    running.expect(pexpect.EOF)
    running.close()

    assert running.exitstatus == 1


def test_status_with_watch_repeats_until_interrupted(program: Program) -> None:
    program.put("texts/a.txt", "one")
    running = terminal(program, "status", "--watch", "--every", "0.2")
    running.expect("texts.*input.* 1 ")

    program.put("texts/b.txt", "one")
    running.expect("texts.*input.* 2 ")
    running.sendintr()
    running.expect(pexpect.EOF)
    running.close()

    assert running.exitstatus == 130
