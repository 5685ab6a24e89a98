"""Output of login scripts is never taken for an answer, and an unusable SFTP is reported."""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import ProcessManagerError
from pydatatask_ssh import SSHConnectionError, SSHLinuxManager

from .labs import connect, new_lab, well_ended

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from services.sshd import SSHServer

    from pydatatask_ssh.remote.shell import RemoteShell

SFTP = "/usr/lib/openssh/sftp-server"

needs_sftp_server = pytest.mark.skipif(
    shutil.which(SFTP) is None, reason=f"{SFTP} is not installed"
)


@needs_sftp_server
@pytest.mark.parametrize(
    "noise", ["echo Welcome to the cluster", "printf '\\036=0\\n\\0\\0'", "echo"]
)
async def test_an_external_sftp_server_works_even_if_the_login_prints_text(
    new_sshd: Callable[..., SSHServer], tmp_path: Path, noise: str
) -> None:
    login = tmp_path / "login"
    login.write_text(f'#!/bin/sh\n{noise}\nexec sh -c "$SSH_ORIGINAL_COMMAND"\n')
    login.chmod(0o755)
    server = new_sshd(f"ForceCommand={login}", f"Subsystem=sftp {SFTP}")
    async with connect(server, patience=5.0) as connection:
        lab = new_lab(tmp_path / "lab", lambda: connection)
        lab.root.mkdir()
        await lab.add("a", "b", content="x" * 100_000)
        await lab.run(lab.task("cat; echo $$ >>LOG", stdin=lab.inp, stdout=lab.out))
        await well_ended(lab, "a", "b")
        assert await lab.text(lab.out) == "x" * 100_000


@needs_sftp_server
async def test_the_sftp_program_is_started_on_a_server_without_the_subsystem(
    new_sshd: Callable[..., SSHServer], tmp_path: Path
) -> None:
    server = new_sshd("Subsystem=other internal-sftp")
    async with connect(server, patience=1.0) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        await lab.add("a")
        await lab.run(lab.task("echo $$ >>LOG; echo out", stdout=lab.out))
        await well_ended(lab, "a")


@needs_sftp_server
@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount a folder")
async def test_sftp_with_another_root_than_the_shell_is_reported(
    new_sshd: Callable[..., SSHServer], tmp_path: Path
) -> None:
    other, place, server_program = tmp_path / "other", tmp_path / "place", tmp_path / "server"
    other.mkdir()
    place.mkdir()
    mount = f"mount --bind {other} {place} && exec {SFTP}"
    server_program.write_text(f"#!/bin/sh\nexec unshare -m sh -c '{mount}'\n")
    server_program.chmod(0o755)
    server = new_sshd(f"Subsystem=sftp {server_program}")
    async with connect(server, patience=1.0) as connection:
        for path in (place / "root", place):
            manager = SSHLinuxManager("app", lambda: connection, path)
            with pytest.raises(ProcessManagerError, match="they have different root folders"):
                await manager.validate()


async def test_the_outcome_of_an_unanswered_request_is_unknown_and_its_channel_is_replaced(
    sshd: SSHServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connect(sshd) as connection:
        manager: Any = new_lab(tmp_path, lambda: connection).manager
        before = await manager.session.remote()
        helper: RemoteShell = before._shell_for_short
        monkeypatch.setattr(helper, "_timeout", 0.2)
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        stuck = asyncio.create_task(helper.ask(f"cat {fifo}"))
        other = asyncio.create_task(helper.ask("emit x"))
        with pytest.raises(SSHConnectionError, match=r"'cat .*fifo' was not answered"):
            await stuck
        with pytest.raises(SSHConnectionError):
            await other
        assert await manager.backend.list_directories(tmp_path) is not None
        assert (await manager.session.remote()) is not before
        assert connection.is_up
