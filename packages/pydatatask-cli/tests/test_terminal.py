"""Control characters in outputs, records and file names never reach a terminal."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

import pexpect
import pytest
from rich.console import Console
from rich.text import Text

from pydatatask_cli.byte_streams import Output
from pydatatask_cli.error_boundary import run_guarded
from pydatatask_cli.errors import CommandLineError
from pydatatask_cli.log_setup import _Formatter
from pydatatask_cli.output import json_text, make_table
from pydatatask_cli.plain_console import _Console
from pydatatask_core.utils.visible import escape_controls

if TYPE_CHECKING:
    from conftest import Program

HOSTILE = "\x1b]0;PWNED\x07\x1b[2J\x9b31m\x7f\r\x08\u202egnp"
SHOWN = r"\x1b]0;PWNED\x07\x1b[2J\x9b31m\x7f\x0d\x08\u202egnp"
SCRIPT = f"""
import pydatatask_core
from pydatatask_cli import main

HOSTILE = {HOSTILE!r}


@pydatatask_core.InProcessSyncTask("t", pydatatask_core.YamlMetadataFileRepository("data/done"))
async def t(job, inp, out):
    async with await out.open(job, "w") as sink:
        await sink.write(HOSTILE + "\\n")
    raise ValueError(HOSTILE)


class Raising(pydatatask_core.YamlMetadataFileRepository):
    async def info(self, job):
        raise ValueError(HOSTILE)


t.link("inp", pydatatask_core.FileRepository("data/inp"), is_input=True)
t.link("out", pydatatask_core.FileRepository("data/out", ".txt"), is_output=True)
t.link("odd", Raising("data/odd"))
main(pydatatask_core.Pipeline([t]))
"""
OURS = re.compile(rb"\x1b\[(\d+(;\d+)*m|\?25[lh]|1A|2K)|\r(?=[\n\x1b])")
"""Sequences of colours, of the cursor and of a live table; newlines are CR LF."""


@pytest.fixture
def hostile(program: Program) -> Program:
    """Run a pipeline whose only job fails, and whose data contain control characters."""
    program.script.write_text(SCRIPT)
    program.put("inp/a")
    program.output("run", "--ok-failures")
    program.put("done/b.yaml", json.dumps({"success": False, "reason": HOSTILE}))
    program.put("done/c.yaml", f"success: false\n? [{HOSTILE}")
    program.put("odd/a.yaml", "x: 1")
    program.put(f"inp/bad{HOSTILE}.txt")
    return program


def on_terminal(program: Program, *words: str) -> bytes:
    """Run a command on a terminal and return the bytes that the terminal receives."""
    environ = {**program.environment, "TERM": "xterm-256color"}
    command = program.command(*words)
    folder = str(program.folder)
    running = pexpect.spawn(
        command[0], command[1:], cwd=folder, env=environ, timeout=40, dimensions=(40, 400)
    )
    running.expect(pexpect.EOF)
    running.close()
    printed = running.before
    assert isinstance(printed, bytes)
    return printed


def commands_in(printed: bytes) -> list[str]:
    """Return the lines that contain a control character from data."""
    text = OURS.sub(b"", printed).decode()
    return [line for line in text.split("\n") if escape_controls(line) != line]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("failed",), True),
        (("failed", "--json"), False),
        (("logs", "t", "a"), True),
        (("cat", "t.done", "b"), False),
        (("cat", "t.done", "b", "--json"), False),
        (("cat", "t.done", "c"), False),
        (("cat", "t.out", "a"), True),
        (("cat", "--json", "t.odd", "a"), True),
        (("--debug", "cat", "--json", "t.odd", "a"), True),
        (("ls", "t.inp"), True),
        (("status",), False),
        (("trace", "a"), False),
        (("explain", "t", "a"), False),
        (("explain", "t", HOSTILE), True),
        (("plan",), True),
        (("validate",), False),
        (("retry", "t", "b"), False),
        (("run", "--ok-failures"), True),
        (("rm", "-r", "t.out", HOSTILE), True),
        ((HOSTILE,), True),
        (("ls", HOSTILE), True),
    ],
)
def test_no_command_prints_control_characters_of_data_on_a_terminal(
    hostile: Program, words: tuple[str, ...], named: bool
) -> None:
    printed = on_terminal(hostile, *words)

    assert commands_in(printed) == []
    assert (rb"\x1b]0;PWNED" in printed) >= named


def test_json_escapes_them_and_keeps_the_value(hostile: Program) -> None:
    record = hostile.output("cat", "t.done", "b", "--json")
    failed = hostile.run("failed", "--json").stdout

    assert escape_controls(record + failed) == record + failed
    assert json.loads(record)["reason"] == HOSTILE
    assert HOSTILE in [failure["reason"] for failure in json.loads(failed)["failed"]]


def test_the_bytes_of_a_value_are_written_unchanged_to_a_pipe(hostile: Program) -> None:
    value = f"{HOSTILE}\n".encode() + b"\xff\x9b"
    (hostile.folder / "data/out/a.txt").write_bytes(value)
    with (hostile.folder / "copy").open("w+b") as copy:
        hostile.start("cat", "t.out", "a", stdout=copy).wait(50)
        copy.seek(0)

        assert copy.read() == value


def test_logs_are_raw_in_a_pipe_and_with_the_option_on_a_terminal(hostile: Program) -> None:
    shown = on_terminal(hostile, "logs", "t", "a")
    raw = on_terminal(hostile, "logs", "--raw", "t", "a")

    assert SHOWN.encode() in shown
    assert f"ValueError: {HOSTILE}".encode() in raw
    assert f"ValueError: {HOSTILE}" in hostile.output("logs", "t", "a")


def test_lines_of_text_are_escaped_in_a_pipe_as_well(hostile: Program) -> None:
    done = hostile.run("failed")

    assert r"\x1b]0;PWNED\x07\x1b[2J\x9b31m" in done.stdout
    assert escape_controls(done.stdout + done.stderr) == done.stdout + done.stderr


async def test_output_in_a_notebook_is_escaped() -> None:
    with redirect_stdout(StringIO()) as notebook:
        for raw in (False, True):
            out = Output(raw=raw)
            await out.write(HOSTILE.encode()[:-1])
            await out.write(HOSTILE.encode()[-1:] + b"\n")
            await out.close()

    assert notebook.getvalue() == f"{SHOWN}\n{HOSTILE}\n"


def test_a_log_line_and_an_error_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.makeLogRecord({"levelname": "INFO", "msg": "%s", "args": (HOSTILE,)})
    assert _Formatter("%(levelname)s: %(message)s").format(record) == f"INFO: {SHOWN}"

    def fail() -> None:
        error = OSError(2, HOSTILE, f"name{HOSTILE}\udc9b")
        error.add_note(HOSTILE)
        raise CommandLineError(HOSTILE) from error

    for debug in (lambda: False, lambda: True):
        assert run_guarded(fail, debug) == 1
        shown = capsys.readouterr().err
        assert escape_controls(shown) == shown
        assert shown.count(SHOWN) >= 3


def test_the_shells_escape_the_message_of_an_exception(hostile: Program) -> None:
    statement = f"raise ValueError({HOSTILE!r})\n"
    piped = hostile.run("shell", stdin=statement.encode())
    assert SHOWN in piped.stderr

    loop = asyncio.new_event_loop()
    with redirect_stderr(StringIO()) as shown:
        _Console({}, loop).write(f"ValueError: {HOSTILE}\n")
    loop.close()
    assert shown.getvalue() == f"ValueError: {SHOWN}\n"


def test_a_table_interprets_data_neither_as_control_characters_nor_as_markup() -> None:
    shown = StringIO()
    console = Console(file=shown, force_terminal=True, width=200)
    console.print(
        make_table([HOSTILE, "#[bold]n"], [[Text(HOSTILE, "green"), "[red]x"], [HOSTILE, 1]])
    )

    assert commands_in(shown.getvalue().encode()) == []
    assert shown.getvalue().count(r"\x1b]0;PWNED") == 3
    assert "[red]x" in shown.getvalue()
    assert "[bold]n" in shown.getvalue()


def test_keys_that_would_be_equal_in_json_are_refused(program: Program) -> None:
    program.put("counts/a.yaml", "x: {1: a, '1': b}\n")

    refused = program.refusal("cat", "--json", "count.counts", "a")

    assert "the keys 1 and '1' of one mapping would both be '1'; omit" in refused
    assert program.output("cat", "count.counts", "a") == "x: {1: a, '1': b}\n"
    assert json.loads(json_text({True: 1, "yes": {None: 2, 1.5: 3}})) == {
        "true": 1,
        "yes": {"null": 2, "1.5": 3},
    }


def test_trace_of_an_unknown_job_reports_it(program: Program) -> None:
    program.put("texts/a.txt", "one")

    done = program.run("trace", "a", "b")

    assert done.returncode == 0
    assert done.stderr == "there is no job 'b' in any of these repositories\n"
