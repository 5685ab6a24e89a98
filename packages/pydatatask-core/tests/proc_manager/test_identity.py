"""The identity of processes, the first line of scripts, and names of run directories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pydatatask_core.proc_manager.protocol.identity import (
    Identity,
    Origin,
    Process,
    parse_identity,
    read_boot_id,
)
from pydatatask_core.proc_manager.protocol.run_directory import (
    RESERVED_STATUS,
    command_line,
    original_name,
    parse_status,
    safe_name,
)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (b"", ["bash", "-e", "s"]),
        (b"echo\n#!/bin/false", ["bash", "-e", "s"]),
        (b"#!", ["/bin/sh", "s"]),
        (b"#! \t\r\nx", ["/bin/sh", "s"]),
        (b"#!/usr/bin/env python3", ["/usr/bin/env", "python3", "s"]),
        (b"#!  /bin/bash \t -e -u  \nx", ["/bin/bash", "-e -u", "s"]),
    ],
)
def test_the_first_line_is_parsed_as_by_the_kernel(script: bytes, expected: list[str]) -> None:
    assert command_line(script, "s", ["bash", "-e"]) == expected


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"", None),
        (RESERVED_STATUS, None),
        (RESERVED_STATUS + b"boot\n1 (sh)\n", None),
        (b"    137", None),
        (b"    137\n", 137),
        (b"      0\nboot\n", 0),
        (b"     -1\n", None),
    ],
)
def test_a_status_is_complete_or_absent(text: bytes, status: int | None) -> None:
    assert parse_status(text) == status


def test_a_process_is_identified_by_its_start_time() -> None:
    stat = Path(f"/proc/{os.getpid()}/stat").read_bytes()
    found = parse_identity(b"       \nboot\n" + stat)
    assert found is not None
    me = found.process
    assert me.pid == os.getpid()
    assert found.supervisor == os.getppid()
    assert me.is_alive()
    assert not Process(me.pid, me.start - 1).is_alive()
    assert me.exists()
    assert not Process(me.pid, me.start - 1).exists()
    assert Identity.parse(str(found)) == found


def test_a_zombie_is_dead_and_exists() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    stat = Path(f"/proc/{child.pid}/stat").read_bytes()
    found = parse_identity(b"\nboot\n" + stat)
    assert found is not None
    assert not found.process.is_alive()
    assert found.process.exists(), "its parent has not reaped it"
    child.wait()
    assert not found.process.is_alive()
    assert not found.process.exists()


@pytest.mark.parametrize("leads", [True, False])
def test_only_the_leader_of_a_session_may_be_signalled(leads: bool) -> None:
    child = subprocess.Popen(["sleep", "600"], start_new_session=leads)
    try:
        line = Path(f"/proc/{child.pid}/stat").read_bytes()
        found = parse_identity(b"\nboot\n" + line)
        assert found is not None
        assert found.may_be_signalled() is leads
        assert not found._replace(process=Process(child.pid, 1)).may_be_signalled()
    finally:
        child.kill()
        child.wait()
    assert not found.may_be_signalled()


@pytest.mark.parametrize("handle", ["", "1", "a.b-c-d", "1.2-x-y", "-", "1.-2-"])
def test_an_invalid_handle_has_no_identity(handle: str) -> None:
    assert Identity.parse(handle) is None


@pytest.mark.parametrize("text", [b"", b"\n\n\n", b" \nboot\n12 (sh) S 1 2", b"x\nb\n7 sh S\n"])
def test_an_incomplete_status_has_no_identity(text: bytes) -> None:
    assert parse_identity(text) is None


def test_names_of_processes_may_contain_any_characters() -> None:
    line = b"77 (a) b (c\x20) S 5 " + b" ".join(b"%d" % n for n in range(5, 50))
    found = parse_identity(b"       \nboot id\n" + line + b"\n")
    assert found == Identity(Process(77, 22), 5, Origin("boot id"))


def test_a_machine_without_boot_ids_has_one_boot(tmp_path: Path) -> None:
    assert read_boot_id(str(tmp_path / "absent")) == ""
    assert len(read_boot_id()) > 10


@pytest.mark.parametrize("name", ["a", "A1", "..", ".", ".a", "a/b", "a%b", "\N{SNOWMAN}", "a b"])
def test_names_of_directories_can_be_converted_back(name: str) -> None:
    safe = safe_name(name)
    assert original_name(safe) == name
    assert "/" not in safe
    assert safe.strip(".")
