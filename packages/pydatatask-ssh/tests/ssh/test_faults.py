"""Broken connections and restarts of servers and machines: no job is lost or run twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest
from processes.chaos.points import watched_backend
from processes.lab import until

from pydatatask_core.proc_manager.protocol.identity import parse_identity
from pydatatask_ssh import SSHConnectionError
from pydatatask_ssh.backend import SSHBackend

from .disconnect import cut, sessions
from .labs import connect, driven, journal_of, new_lab, quickly, well_ended

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from processes.lab import Lab
    from services.sshd import SSHServer

JOBS = ("a", "b", "c")


async def test_processes_continue_when_the_connection_is_cut(
    sshd: SSHServer, tmp_path: Path
) -> None:
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        async with driven(lab, *JOBS):
            cut(sshd)
            lab.go.touch()
        await well_ended(lab, *JOBS)


async def test_jobs_that_ended_while_the_server_was_down_are_recorded(
    new_sshd: Callable[..., SSHServer], tmp_path: Path
) -> None:
    server = new_sshd()
    async with connect(server) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        async with driven(lab, *JOBS):
            cut(server)
            server.server.kill()
            lab.go.touch()

            async def noticed() -> bool:
                return not connection.is_up

            await until(noticed)
            server.server.start()
        await well_ended(lab, *JOBS)


class Cutter:
    """Cuts all connections at one of the points that a pipeline passes."""

    def __init__(self, server: SSHServer, at: int) -> None:
        self.server = server
        self.left = at

    async def pass_by(self, name: str) -> None:
        self.left -= 1
        if self.left == 0:
            await asyncio.to_thread(cut, self.server)


@pytest.mark.parametrize("at", range(1, 11))
async def test_a_connection_may_break_in_every_phase(
    sshd: SSHServer, tmp_path: Path, at: int
) -> None:
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        backend: Any = watched_backend(SSHBackend)(lab.manager)
        backend.passage = Cutter(sshd, at)
        vars(lab.manager)["_backend"] = backend
        await lab.add("a")
        await lab.run(lab.task("echo $$ >>LOG; echo out", stdout=lab.out))
        await well_ended(lab, "a")
        assert await lab.text(lab.out) == "out\n"


async def test_a_channel_that_closes_alone_is_reopened(sshd: SSHServer, tmp_path: Path) -> None:
    async with connect(sshd) as connection:
        manager: Any = new_lab(tmp_path, lambda: connection).manager
        await manager.mkdir(tmp_path / "runs" / "a")
        before = await manager.session.remote()
        before.sftp.exit()
        await before.sftp.wait_closed()

        assert await manager.backend.list_directories(tmp_path / "runs") == {"a"}
        assert (await manager.session.remote()).raw is before.raw


async def test_jobs_over_a_user_supplied_connection_that_breaks_are_unknown_and_never_dead(
    sshd: SSHServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with asyncssh.connect(**sshd.login) as raw:
        lab = new_lab(tmp_path, lambda: raw)
        await lab.add("a")
        task = lab.task("echo $$ >>LOG; WAIT")
        async with lab.pipeline(task) as pipeline:
            await pipeline.update()
            await lab.logged()
            cut(sshd)
            await raw.wait_closed()
            with pytest.raises(SSHConnectionError, match="the caller opened it"):
                await lab.manager.get_live_pids({"1.1-1-x"})
            with pytest.raises(TimeoutError):
                await pipeline.run(poll=0.05, timeout=1.5)
            assert set(task.running) == {"a"}
    assert "the state of the jobs on" in caplog.text
    assert await lab.done.keys() == set()

    again = lab.again()
    again.go.touch()
    async with asyncssh.connect(**sshd.login) as raw:
        again.manager = new_lab(tmp_path, lambda: raw).manager
        await again.run(again.task("echo $$ >>LOG; WAIT"))
    await well_ended(again, "a")


async def test_a_server_that_freezes_for_longer_than_the_timeout_loses_nothing(
    sshd: SSHServer, tmp_path: Path
) -> None:
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        async with driven(lab, *JOBS):
            frozen = sessions(sshd)
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)
            lab.go.touch()
            try:
                await until(lambda: _is_not_empty(lab))
            finally:
                for pid in frozen:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
        await well_ended(lab, *JOBS)


async def _is_not_empty(lab: Lab) -> bool:
    return bool(await lab.done.keys())


@pytest.mark.parametrize("wiped", [False, True], ids=["kept", "wiped"])
async def test_only_jobs_that_ran_when_the_machine_restarted_are_lost(
    sshd: SSHServer, tmp_path: Path, wiped: bool
) -> None:
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("first\n")
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection, boot_id=str(boot_id))
        async with driven(lab, *JOBS):
            for directory in lab.directories():
                identity = parse_identity(journal_of(directory).read_bytes())
                assert identity is not None
                os.kill(identity.supervisor, signal.SIGKILL)
                os.killpg(identity.process.pid, signal.SIGKILL)
            boot_id.write_text("second\n")
            if wiped:
                shutil.rmtree(tmp_path / "processes")
            cut(sshd)
        records = await lab.done.info_all()
        assert set(records) == set(JOBS)
        reason = "gone" if wiped else "restarted"
        assert all(record["lost"] and reason in record["reason"] for record in records.values())
        await lab.add("later")
        lab.go.touch()
        await lab.run(lab.task("echo $$ >>LOG; WAIT"))
        assert (await lab.done.info("later"))["success"]


async def test_another_machine_under_the_same_name_is_left_alone(
    sshd: SSHServer, tmp_path: Path
) -> None:
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        async with driven(lab, "a") as task:
            manager: Any = lab.manager
            target = await manager.session.remote()
            target.machine, real = "another", target.machine
            cut(sshd)
            await asyncio.sleep(0)
            with pytest.raises(OSError, match="another machine answers"):
                await task.backend.inspect(task.runs.new("a"))
            target.machine = real
            lab.go.touch()
        await well_ended(lab, "a")


async def test_an_unreachable_machine_is_named_in_the_error(
    new_sshd: Callable[..., SSHServer],
) -> None:
    server = new_sshd()
    server.server.kill()
    with pytest.raises(SSHConnectionError, match=f"127.0.0.1:{server.port} does not answer"):
        async with connect(server, patience=0.2):
            pass
    async with connect(server, patience=0.2, optional=True) as connection:
        assert not connection.is_up
        server.server.start()
        assert (await connection.get(patience=quickly["patience"])) is connection.raw
