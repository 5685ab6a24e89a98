"""The supervisor of a job on another machine, in any shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from pydatatask_core.proc_manager.protocol.identity import parse_identity
from pydatatask_core.proc_manager.protocol.run_directory import (
    BEGUN,
    RESERVED_STATUS,
    STATUS,
    parse_status,
)
from pydatatask_ssh.remote.supervisor import NOT_BEGUN, SUPERVISOR

if TYPE_CHECKING:
    from pathlib import Path

SETSID = shutil.which("setsid") or ""
SHELLS = [shell for shell in ("dash", "bash", "ksh", "busybox") if shutil.which(shell)]
FILES = [STATUS, BEGUN, STATUS]


def supervise(shell: str, place: Path, *command: str) -> int:
    """Run a supervisor in a shell with the arguments of a launch."""
    start = [shell, *(["sh"] if shell == "busybox" else [])]
    script = f'cd "$0" && exec 5<. && {" ".join(start)} -c "$SUPERVISOR" sh "$@"'
    ended = subprocess.run(
        [*("/bin/sh", "-c", script, str(place), "."), *FILES, "boot", SETSID, *command],
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
                *[f"/proc/self/fd/{gone}", *FILES, "boot", SETSID],
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


def test_variables_of_the_supervisor_have_distinctive_names() -> None:
    names = set(re.findall(r"(\w+)=|read -r (\w+)", SUPERVISOR))
    own = {name for pair in names for name in pair if name} - {"IFS"}  # set for `read` only
    assert own
    assert all(name.startswith("pdt_") for name in own)
