"""Real machines: their login shells, their disks, and their access rules."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager import LaunchSpec, ProcessState
from pydatatask_core.testing.processes.backend import finished, new_run
from pydatatask_ssh import SSHConnection, SSHLinuxManager, SSHLoginError, ssh_connection

from .labs import connect, new_lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from services.sshd import SSHServer

SFTP = "/usr/lib/openssh/sftp-server"
NOISE = "echo noise; echo more noise >&2; printf 'no end of line'; sleep 0.3\n"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount a file system")


async def runs_well(lab: Any) -> None:
    """Run jobs that succeed, fail and are killed."""
    await lab.add("a", "b", "c", content="some\ninput\n")
    script = 'cat; echo "$WORD" >&2; case {{ job }} in b) exit 3 ;; c) kill -KILL $$ ;; esac'
    await lab.run(lab.task(script, stdin=lab.inp, stdout=lab.out, environ={"WORD": "a  b'"}))
    records = await lab.done.info_all()
    assert {job: record["return_code"] for job, record in records.items()} == {
        "a": 0,
        "b": 3,
        "c": 137,
    }
    assert await lab.text(lab.out) == "some\ninput\n"
    assert records["b"]["stderr_tail"] == "a  b'\n"
    assert lab.empty()


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
async def test_any_login_shell_works_even_if_it_prints_text_at_startup(
    new_sshd: Callable[..., SSHServer], tmp_path: Path, shell: str
) -> None:
    if shutil.which(shell.split(maxsplit=1)[0]) is None:
        pytest.skip(f"{shell} is not installed")
    if shutil.which(SFTP) is None:
        pytest.skip(f"{SFTP} is not installed")
    login = tmp_path / "login"
    (tmp_path / ".bashrc").write_text(NOISE)
    noise = "" if shell == "bash" else NOISE
    login.write_text(
        f"#!/bin/sh\nexport HOME={tmp_path}\nunset SHLVL\n"
        f'[ "$SSH_ORIGINAL_COMMAND" = {SFTP} ] && exec {SFTP}\n'
        f'{noise}exec {shell} -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    login.chmod(0o755)
    server = new_sshd(f"ForceCommand={login}", f"Subsystem=sftp {SFTP}")
    async with connect(server, patience=5.0) as connection:
        said = await connection.raw.run("echo said")
        assert "noise" in str(said.stdout)  # the shell is as noisy as this test requires
        await runs_well(new_lab(tmp_path / "lab", lambda: connection))


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
async def test_any_posix_shell_can_run_the_commands(
    sshd: SSHServer, tmp_path: Path, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which(shell.split(maxsplit=1)[0]) is None:
        pytest.skip(f"{shell} is not installed")
    monkeypatch.setattr(SSHLinuxManager, "posix_shell", shell)
    async with connect(sshd) as connection:
        await runs_well(new_lab(tmp_path, lambda: connection))


async def test_a_setsid_without_fork_works(
    sshd: SSHServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        manager: Any = lab.manager
        (await manager.session.remote()).detach = ""  # like the setsid of busybox
        await runs_well(lab)


async def test_at_most_four_channels_are_open_for_any_number_of_jobs(
    new_sshd: Callable[..., SSHServer], tmp_path: Path
) -> None:
    server = new_sshd()
    async with connect(server) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        names = [f"job{number}" for number in range(40)]
        await lab.add(*names)
        await lab.run(lab.task("cat", stdin=lab.inp, stdout=lab.out))
        assert len(await lab.done.keys()) == len(names)
    opened, most = 0, 0
    for line in server.log().splitlines():
        opened += line.startswith("Starting session") - line.startswith("Close session")
        most = max(most, opened)
    assert most == 4


# -- error messages ------------------------------------------------------------------------------


async def refused(server: SSHServer, match: str, **options: Any) -> None:
    with pytest.raises(SSHLoginError, match=match):
        async with connect(server, **options):
            pass


async def test_a_rejected_login_is_reported_with_the_points_to_check(
    sshd: SSHServer, tmp_path: Path
) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    await refused(sshd, "refuses the login.*client_keys", client_keys=[key])


async def test_an_unknown_host_key_is_reported_with_the_way_to_accept_it(
    sshd: SSHServer, tmp_path: Path
) -> None:
    (tmp_path / "nobody").write_text("")
    await refused(
        sshd,
        f"is not known: accept it once with `ssh -p {sshd.port}",
        known_hosts=str(tmp_path / "nobody"),
    )


async def test_a_changed_host_key_is_reported_with_its_possible_meaning(
    sshd: SSHServer, tmp_path: Path
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{sshd.port} {other}")
    await refused(sshd, "another host key.*ssh-keygen -R", known_hosts=str(known))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a small file system."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0755", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs to mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@needs_root
async def test_a_full_disk_is_reported_as_full(sshd: SSHServer, disk: Path) -> None:
    async with connect(sshd) as connection:
        manager = SSHLinuxManager("app", lambda: connection, disk / "root")
        await manager.validate()
        with pytest.raises(ProcessManagerError, match="No space left"):
            await manager.backend.create(new_run(manager), LaunchSpec(bytes(512 * 1024), {}))
        assert await manager.backend.list_directories(manager.basedir / "runs") == set()
        with pytest.raises(ProcessManagerError, match="No space left"):
            async with await manager.open(manager.basedir / "file", "wb") as stream:
                await stream.write(bytes(512 * 1024))
        report = await finished(
            manager.backend, new_run(manager, "other"), LaunchSpec(b"exit 2", {})
        )
        assert (report.state, report.return_code) == (ProcessState.EXITED, 2)


@needs_root
async def test_a_read_only_directory_is_reported_as_read_only(sshd: SSHServer, disk: Path) -> None:
    async with connect(sshd) as connection:
        before, after = (
            SSHLinuxManager("app", lambda: connection, disk / "root") for _ in range(2)
        )
        await before.validate()
        remount = ["mount", "-o", "remount,ro", str(disk)]
        await asyncio.to_thread(subprocess.run, remount, check=True)
        with pytest.raises(ProcessManagerError, match="Read-only file system"):
            await before.backend.create(new_run(before), LaunchSpec(b"", {}))
        with pytest.raises(ProcessManagerError, match="Read-only file system"):
            await after.validate()


@pytest.mark.parametrize("mode", [0o777, 0o755])
async def test_a_directory_that_others_could_replace_is_rejected(
    sshd: SSHServer, tmp_path: Path, mode: int
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(mode)
    async with connect(sshd) as connection:
        manager = SSHLinuxManager("app", lambda: connection, root)
        if mode == 0o777:
            with pytest.raises(ProcessManagerError, match=r"chmod \+t"):
                await manager.validate()
            return
        await manager.validate()
        assert manager.basedir.stat().st_mode & 0o777 == 0o700


async def test_a_program_missing_on_the_machine_is_named(
    sshd: SSHServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SSHLinuxManager, "posix_shell", f"/usr/bin/env PATH={tmp_path} /bin/sh")
    async with connect(sshd) as connection:
        manager = SSHLinuxManager("app", lambda: connection, tmp_path / "root")
        with pytest.raises(ProcessManagerError, match=r"lacks .*setsid.*tail"):
            await manager.validate()


async def test_a_server_without_sftp_is_reported(
    new_sshd: Callable[..., SSHServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pydatatask_ssh.sftp.SERVERS", ("/nonexistent",))
    server = new_sshd("Subsystem=other internal-sftp")
    async with connect(server, patience=0.5) as connection:
        manager = SSHLinuxManager("app", lambda: connection, tmp_path / "root")
        with pytest.raises(ProcessManagerError, match="Subsystem sftp"):
            await manager.validate()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("", lambda: None), "must be a non-empty string"),
        (("app", object()), "must be a callable"),
        (("app", lambda: None, "relative"), "absolute path"),
        (("app", lambda: None, "/tmp/a\nb"), "absolute path"),
    ],
)
def test_invalid_manager_options_are_rejected(arguments: Any, match: str) -> None:
    with pytest.raises(ProcessManagerError, match=match):
        SSHLinuxManager(*arguments)


def test_invalid_connection_options_are_rejected() -> None:
    with pytest.raises(ProcessManagerError, match=re.escape("must be a non-empty string, not 5")):
        SSHConnection(5)  # type: ignore[arg-type] # intended


async def test_an_object_that_is_not_a_connection_is_rejected() -> None:
    manager: Any = SSHLinuxManager("app", lambda: "host")  # type: ignore[arg-type, return-value]
    with pytest.raises(ProcessManagerError, match="not 'host'"):
        await manager.validate()


async def test_a_connection_can_be_a_session_resource(sshd: SSHServer, tmp_path: Path) -> None:
    from pydatatask_core import Session

    session = Session()
    ssh = session.resource(ssh_connection(**sshd.login))
    manager = SSHLinuxManager("app", ssh, tmp_path / "root")
    for _ in range(2):
        async with session:
            await manager.validate()
            assert manager.ssh is ssh().raw
            report = await finished(manager.backend, new_run(manager), LaunchSpec(b"exit 0", {}))
            assert report.return_code == 0
            await manager.backend.remove(new_run(manager))
