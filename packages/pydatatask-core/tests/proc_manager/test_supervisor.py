"""The supervisor, the environment of its process, and how both are identified later."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pydatatask_core.proc_manager.local.spawn import reserve_status, setsid_path, spawn_supervisor
from pydatatask_core.proc_manager.protocol.identity import (
    Identity,
    Origin,
    Process,
    parse_identity,
    read_boot_id,
)
from pydatatask_core.proc_manager.protocol.run_directory import (
    BEGUN,
    KEPT_SUPERVISOR,
    NOT_BEGUN,
    RESERVED_STATUS,
    STATUS,
    SUPERVISOR,
    command_line,
    order,
    original_name,
    parse_status,
    safe_name,
)

SHELLS = [shell for shell in ("dash", "bash", "ksh", "busybox") if shutil.which(shell)]
FILES = [STATUS, BEGUN, STATUS]


def supervise(shell: str, place: Path, *command: str) -> int:
    """Run a supervisor in a shell with the arguments of a launch."""
    start = [shell, *(["sh"] if shell == "busybox" else [])]
    script = f'cd "$0" && exec 5<. && {" ".join(start)} -c "$SUPERVISOR" sh "$@"'
    ended = subprocess.run(
        [*("/bin/sh", "-c", script, str(place), "."), *FILES, "boot", setsid_path(), *command],
        env={**os.environ, "SUPERVISOR": SUPERVISOR},
        start_new_session=True,
        check=False,
    )
    return ended.returncode


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 125", 125),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
        ("kill -KILL -$$", 137),
        ("kill -TERM $PPID; kill -HUP $PPID; kill -INT $PPID; exit 4", 4),
    ],
)
def test_any_shell_writes_the_status(tmp_path: Path, shell: str, script: str, code: int) -> None:
    assert supervise(shell, tmp_path, "/bin/sh", "-c", script) == 0
    text = (tmp_path / STATUS).read_bytes()
    assert parse_status(text) == code
    first, _, rest = text.partition(b"\n")
    assert len(first) + 1 == len(RESERVED_STATUS)
    assert int(first) == code
    identity = parse_identity(text)
    assert identity is not None
    assert identity.boot == "boot"
    assert not identity.process.is_alive()
    assert rest.count(b"\n") == 2


def keep(shell: str, orders: str) -> tuple[int, str]:
    """Send job commands to a kept supervisor; return its exit status and its reports."""
    start = [shell, *(["sh"] if shell == "busybox" else []), "-s"]
    ended = subprocess.run(
        ["/bin/sh", "-c", 'exec 3>&1 >/dev/null && "$@"', "sh", *start],
        input=KEPT_SUPERVISOR + orders,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        check=False,
    )
    return ended.returncode, ended.stdout


def order_for(place: Path, script: str, stdout: str = "/dev/null", mark: str = ".") -> str:
    command = [setsid_path(), "/bin/sh", "-c", script]
    return order(str(place), mark, "boot", command, ("/dev/null", stdout, None))


def made(place: Path) -> Path:
    place.mkdir()
    return place


KEPT = ["exit 0", "exit 125", "kill -KILL -$$", "kill -HUP $PPID; kill -INT $PPID; exit 4", ""]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_supervisor_runs_one_job_after_another_in_any_shell(tmp_path: Path, shell: str) -> None:
    places = [made(tmp_path / f"it's {number}") for number in range(len(KEPT))]
    orders = [order_for(*it, stdout=f"{it[0]}/out") for it in zip(places, KEPT, strict=True)]
    assert keep(shell, "".join(orders)) == (0, "0\n" * len(KEPT))
    texts = [(place / STATUS).read_bytes() for place in places]
    assert [parse_status(text) for text in texts] == [0, 125, 137, 4, 0]
    supervisors = [identity.supervisor for it in texts if (identity := parse_identity(it))]
    assert len(supervisors) == len(KEPT)
    assert len(set(supervisors)) == 1
    assert all((place / "out").exists() for place in places)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_supervisor_that_cannot_write_a_status_exits_in_any_shell(
    tmp_path: Path, shell: str
) -> None:
    """A driver that finds the supervisor alive, and no status, would wait forever."""
    first, second = made(tmp_path / "first"), made(tmp_path / "second")
    for spoil in ("rm .status", "echo mine >.status", "rm .status; mkdir .status", 'rm -r "$PWD"'):
        orders = order_for(first, spoil) + order_for(second, "exit 0")
        assert keep(shell, orders) == (0, ""), spoil
        assert not list(second.iterdir())
        shutil.rmtree(first, ignore_errors=True)
        first.mkdir()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_stream_that_cannot_be_opened_is_reported_in_any_shell(
    tmp_path: Path, shell: str
) -> None:
    first, second = made(tmp_path / "first"), made(tmp_path / "second")
    orders = order_for(first, "echo >ran", stdout=str(tmp_path)) + order_for(second, "exit 0")
    code, told = keep(shell, orders)
    assert code == 0
    assert re.fullmatch(r"[1-9]\d*\n0\n", told)
    assert not list(first.iterdir())


@pytest.mark.parametrize("shell", SHELLS)
def test_a_directory_other_than_the_one_in_the_command_is_reported_in_any_shell(
    tmp_path: Path, shell: str
) -> None:
    first, second = made(tmp_path / "first"), made(tmp_path / "second")
    orders = order_for(first, "echo >ran", mark=".made-1", stdout="out")
    orders += order_for(tmp_path / "none", "exit 0") + order_for(second, "exit 0")
    code, told = keep(shell, orders)
    assert code == 0
    assert re.fullmatch(r"([1-9]\d*\n){2}0\n", told)
    assert not list(first.iterdir())


@pytest.mark.parametrize("shell", SHELLS)
def test_a_supervisor_exits_after_a_revoked_job_in_any_shell(tmp_path: Path, shell: str) -> None:
    first, second = made(tmp_path / "first"), made(tmp_path / "second")
    (first / BEGUN).mkdir()
    orders = order_for(first, "echo >ran") + order_for(second, "exit 0")
    assert keep(shell, orders) == (NOT_BEGUN, "")
    assert not (first / "ran").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_revoked_script_does_not_run(tmp_path: Path, shell: str) -> None:
    (tmp_path / BEGUN).mkdir()
    assert supervise(shell, tmp_path, "/bin/sh", "-c", "echo >ran") == NOT_BEGUN
    assert parse_status((tmp_path / STATUS).read_bytes()) is None
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_process_that_cannot_write_its_identity_does_not_run(tmp_path: Path, shell: str) -> None:
    (tmp_path / STATUS).symlink_to("/dev/full")
    assert supervise(shell, tmp_path, "/bin/sh", "-c", "echo >ran") == NOT_BEGUN
    assert not (tmp_path / BEGUN).exists()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_process_whose_parent_is_not_its_supervisor_does_not_run(
    tmp_path: Path, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor may be killed before the process has written its identity."""
    adopted = SUPERVISOR.replace('pdt_run "$@"', '(pdt_run "$@"); exit $?')
    assert adopted != SUPERVISOR
    monkeypatch.setattr(f"{__name__}.SUPERVISOR", adopted)
    assert supervise(shell, tmp_path, "/bin/sh", "-c", "echo >ran") == NOT_BEGUN
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_may_exit_with_the_status_of_one_that_has_not_begun(
    tmp_path: Path, shell: str
) -> None:
    assert supervise(shell, tmp_path, "/bin/sh", "-c", f"exit {NOT_BEGUN}") == 0
    assert parse_status((tmp_path / STATUS).read_bytes()) == NOT_BEGUN


@pytest.mark.parametrize("shell", SHELLS)
def test_a_late_supervisor_does_nothing(tmp_path: Path, shell: str) -> None:
    place = tmp_path / "place"
    place.mkdir()
    gone = os.open(place, os.O_RDONLY)
    place.rmdir()
    try:
        place.mkdir()
        ended = subprocess.run(
            [
                *[shell, *(["sh"] if shell == "busybox" else []), "-c", SUPERVISOR, "sh"],
                *[f"/proc/self/fd/{gone}", *FILES, "boot", setsid_path()],
                *["/bin/sh", "-c", f"echo >{tmp_path}/ran"],
            ],
            pass_fds=[gone],
            check=False,
            capture_output=True,
        )
    finally:
        os.close(gone)
    assert ended.returncode in (0, NOT_BEGUN)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["place"]


async def test_a_process_inherits_nothing_of_the_driver(tmp_path: Path) -> None:
    """It has other open files, ignored signals and session."""
    program = """
import os, signal, sys
sys.path[:] = eval(sys.argv[2])
from pydatatask_core.proc_manager.local.spawn import spawn_supervisor
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
read, write = os.pipe()
os.set_inheritable(write, True)
place = sys.argv[1]
script = 'ls /proc/self/fd; grep -E "Sig(Blk|Ign)" /proc/self/status; ps -o pgid=,sid= -p $$'
pid = spawn_supervisor(["/bin/sh", "-c", f"echo $$; {script}"], {}, place, ".status", None,
    place + "/out", place + "/err", journal=".status", begun=".begun",
    boot_id="boot")
os.waitpid(pid, 0)
print(os.getpgid(0), os.getsid(0))
"""
    ended = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(tmp_path), repr(sys.path)),
        stdout=asyncio.subprocess.PIPE,
    )
    drivers = (await ended.communicate())[0].decode().split()
    lines = (tmp_path / "out").read_text().split("\n")
    assert lines[1:5] == ["0", "1", "2", "3"]  # the last one is the directory that ls reads
    masks = {line.split()[0]: int(line.split()[1], 16) for line in lines if line[:3] == "Sig"}
    ignored = {n for n in range(1, 32) if masks["SigIgn:"] >> (n - 1) & 1}
    assert masks["SigBlk:"] == 0
    assert not ignored
    group, session = lines[-2].split()
    assert group == session == lines[0]
    assert not {group, session} & set(drivers)


def test_variables_of_the_supervisor_have_distinctive_names(tmp_path: Path) -> None:
    names = set(re.findall(r"(\w+)=|read -r (\w+)", SUPERVISOR + KEPT_SUPERVISOR))
    own = {name for pair in names for name in pair if name} - {"IFS"}  # set for `read` only
    assert own
    assert all(name.startswith("pdt_") for name in own)


async def test_a_script_that_is_open_for_writing_runs(tmp_path: Path) -> None:
    """The script itself is not executed, which would fail with ETXTBSY."""
    script = tmp_path / ".script"
    script.write_text("#!/bin/sh -e\nexit 3\n")
    with script.open("r+"):
        place = str(tmp_path)
        pid = await asyncio.to_thread(
            lambda: spawn_supervisor(
                command_line(script.read_bytes(), str(script), ["/bin/false"]),
                *({}, place, STATUS, None, None, None),
                journal=STATUS,
                begun=BEGUN,
                boot_id="boot",
            )
        )
        await asyncio.to_thread(os.waitpid, pid, 0)
    assert parse_status((tmp_path / STATUS).read_bytes()) == 3


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


def test_a_status_is_reserved_once(tmp_path: Path) -> None:
    reserve_status(str(tmp_path / "rc"))
    assert (tmp_path / "rc").read_bytes() == RESERVED_STATUS
    with pytest.raises(FileExistsError):
        reserve_status(str(tmp_path / "rc"))


def test_a_process_is_identified_by_its_start_time() -> None:
    stat = Path(f"/proc/{os.getpid()}/stat").read_bytes()
    found = parse_identity(b"       \nboot\n" + stat)
    assert found is not None
    me = found.process
    assert me.pid == os.getpid()
    assert found.supervisor == os.getppid()
    assert me.is_alive()
    assert not Process(me.pid, me.start - 1).is_alive()
    assert found.supervisor_is_alive()
    assert not found._replace(process=Process(me.pid, 0)).supervisor_is_alive(), "it is younger"
    assert Identity.parse(str(found)) == found


def test_a_zombie_is_dead() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    stat = Path(f"/proc/{child.pid}/stat").read_bytes()
    found = parse_identity(b"\nboot\n" + stat)
    assert found is not None
    assert not found.process.is_alive()
    child.wait()
    assert not found.process.is_alive()


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
