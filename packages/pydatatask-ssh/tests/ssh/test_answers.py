"""Answers of a remote shell: each is matched to one request despite any other output."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import ProcessManagerError
from pydatatask_ssh.errors import AnswerError, SSHConnectionError
from pydatatask_ssh.remote.answers import (
    MAX_ANSWER_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_PART_BYTES,
    Answer,
)
from pydatatask_ssh.remote.host import MAX_LINE_BYTES, Lines
from pydatatask_ssh.remote.replies import parse_clock, parse_now
from pydatatask_ssh.remote.run_files import parse_outputs
from pydatatask_ssh.remote.shell import RemoteShell

from .labs import connect, journal_of, new_lab, well_ended

if TYPE_CHECKING:
    from pathlib import Path

    from services.sshd import SSHServer

STRANGE = [b"", b"\n", b"\x1e", b"\x1e=0\n", b"\0\xff\xfe", b"=0\n", b"\x1e\x1e" * 9, b"\r\n= 0 "]


def sent(answer: Answer, *parts: bytes, status: bytes = b"0", noise: bytes = b"") -> bytes:
    """Return the bytes of an answer, with output of other programs between its parts."""
    mark = b"\x1e" + answer.nonce.encode()
    return noise + noise.join(mark + it + mark + b"\n" for it in [*parts, b"=" + status])


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_an_answer_is_parsed_from_pieces_of_any_size_with_any_content(size: int) -> None:
    answer = Answer("look")
    data = sent(answer, *(b"S" + it for it in STRANGE), noise=b"\x1eSforged\x1e=0\n")
    rest = None
    for at in range(0, len(data), size):
        if rest is None:
            rest = answer.feed(data[at : at + size])
    assert rest is not None
    expected = ["S" + it.decode("utf-8", "surrogateescape") for it in STRANGE]
    assert (answer.parts, answer.status) == (expected, 0)
    assert "forged" in answer.message


def test_parts_of_another_answer_are_treated_as_program_output() -> None:
    answer, other = Answer("look"), Answer("look")
    assert answer.feed(sent(other, b"L", status=b"1")) is None
    assert answer.feed(sent(answer, b"N")) == b"\n"
    assert (answer.parts, answer.status) == (["N"], 0)


def test_bytes_after_an_answer_belong_to_the_next_answer() -> None:
    first, second = Answer("a"), Answer("b")
    rest = first.feed(sent(first, b"1") + sent(second, b"2", status=b"3"))
    assert rest is not None
    assert second.feed(rest) is not None
    assert (first.parts, second.parts, second.status) == (["1"], ["2"], 3)


@pytest.mark.parametrize("status", [b"", b"x", b"-1", b"0 1", b"9999", b"0\n"])
def test_an_end_without_a_status_names_the_request(status: bytes) -> None:
    answer = Answer("look '/root/a'")
    with pytest.raises(AnswerError, match="request \"look '/root/a'\" cannot be read"):
        answer.feed(sent(answer, status=status))


def test_parts_answers_and_messages_have_a_maximum_size() -> None:
    answer = Answer("look")
    with pytest.raises(AnswerError, match=f"longer than {MAX_PART_BYTES} bytes"):
        answer.feed(b"\x1e" + answer.nonce.encode() + b"x" * (MAX_PART_BYTES + 1))
    answer = Answer("look")
    for _ in range(MAX_ANSWER_BYTES // MAX_PART_BYTES):
        answer.feed(b"y" * MAX_PART_BYTES)
        assert len(answer.message) <= MAX_MESSAGE_BYTES
    with pytest.raises(AnswerError, match=f"longer than {MAX_ANSWER_BYTES} bytes"):
        answer.feed(b"y")
    assert len(Answer("x" * 10_000).request) <= 200


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("look /root '/root/a b'", "look /root '/root/a b'"),
        ("fill /root /root/a 'echo secret'", "fill /root /root/a"),
        ("( export SECRET=secret ; exec setsid )", "launch"),
        ('"$pdt_setsid" -f /bin/sh -c secret', "launch"),
    ],
)
def test_an_error_about_an_answer_contains_no_scripts_and_no_variables(
    command: str, name: str
) -> None:
    assert Answer(command).request.startswith(name.partition(" '")[0])
    assert "secret" not in Answer(command).request


def test_an_exit_event_that_is_too_long_is_dropped_without_affecting_others() -> None:
    lines: list[bytes] = []
    reader = Lines(lines.append)
    for data in (b"a\nb", b"c\n", b"x" * MAX_LINE_BYTES, b"y", b"z\nd", b"\n"):
        reader.feed(data)
    assert lines == [b"a", b"bc", b"d"]


class _Channel:
    def __init__(self) -> None:
        self.closed = False

    def write(self, text: str) -> None:
        """Discard the text."""

    def close(self) -> None:
        self.closed = True


async def test_an_unterminated_answer_replaces_the_channel_and_makes_other_outcomes_unknown() -> (
    None
):
    import asyncio

    helper: Any = RemoteShell()
    helper._channel = channel = _Channel()
    first, second = (asyncio.ensure_future(helper.ask(it)) for it in ("look '/a'", "look '/b'"))
    await asyncio.sleep(0)
    answer = helper._waiting[0].answer
    helper._receive(sent(answer, status=b"?"))
    with pytest.raises(AnswerError, match="'/a'"):
        await first
    with pytest.raises(SSHConnectionError):
        await second
    assert channel.closed
    assert helper.is_lost


@pytest.mark.parametrize(
    "lines",
    [
        ["F"],
        ["F.stdout"],
        ["F.stdout 81a4 1 0 5 x"],
        ["F.stdout 81a4 1 0 5 8"],
        ["F.stdout 81a4 1 0 5 8", "D.stdout 5:four"],
        ["F.stdout 81a4 1 0 5 8", "D.stdout"],
    ],
)
def test_an_incomplete_answer_about_outputs_is_rejected(lines: list[str]) -> None:
    with pytest.raises((ValueError, LookupError)):
        parse_outputs(lines, 0)


def test_random_parts_raise_only_errors_of_their_own_request() -> None:
    dice = random.Random(26)
    for _ in range(2000):
        lines = [
            dice.choice("FDWXSNPLAMZTU") + "".join(dice.choices(" .:-0189af\n\x1e\udcff", k=12))
            for _ in range(dice.randrange(4))
        ]
        for parse in (lambda it: parse_outputs(it, 0), parse_now):
            with contextlib.suppress(ValueError, LookupError, ProcessManagerError):
                parse(lines)
        parse_clock(lines)


async def test_an_unparsable_answer_fails_one_job_temporarily_and_no_other(
    sshd: SSHServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = RemoteShell.ask
    told: list[str] = []

    async def ask(self: RemoteShell, command: str) -> list[str]:
        lines = await original(self, command)
        if command.startswith("look ") and "/runs/b" in command and len(told) < 3:
            told.append(command)
            return ["Pnonsense", *lines]
        return lines

    monkeypatch.setattr(RemoteShell, "ask", ask)
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.add("a", "b", "c")
        await lab.run(lab.task("echo $$ >>LOG; echo out", stdout=lab.out))
        await well_ended(lab, "a", "b", "c")
        target = await lab.manager.session.remote()  # type: ignore[attr-defined]
        assert not target.is_lost
    assert len(told) == 3


async def test_an_error_about_an_answer_names_the_machine_and_the_request(
    sshd: SSHServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(self: RemoteShell, command: str) -> list[str]:
        return ["Pnonsense"]

    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.manager.backend.validate()
        task = lab.task("true")
        await task.runs.load_namespace()
        monkeypatch.setattr(RemoteShell, "ask", ask)
        with pytest.raises(ProcessManagerError, match=r"127\.0\.0\.1.*'look' cannot be read"):
            await lab.manager.backend.inspect(task.runs.new("a"))


async def test_a_status_with_random_bytes_is_bounded_and_affects_no_other_job(
    sshd: SSHServer, tmp_path: Path
) -> None:
    """Only the user's own programs write the journal; its size is bounded nevertheless."""
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.add("a", "b")
        task = lab.task("echo $$ >>LOG; WAIT")
        async with lab.pipeline(task) as pipeline:
            await pipeline.update()
            await lab.running(task, "a", "b")
            journal = journal_of(task.runs.path("runs", "a"))
            lines = journal.read_bytes().split(b"\n", 1)
            journal.write_bytes(b"\n".join(lines) + b"\x1e=0\n\xff\0\n" * 1000)
            lab.go.touch()
            await pipeline.run(poll=0.05)
        assert await lab.done.keys() == {"a", "b"}
        assert (await lab.done.info("b"))["success"]
