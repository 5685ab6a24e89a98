"""Unused connections and channels are closed, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import until

from pydatatask_core.errors import ProcessManagerError
from pydatatask_ssh import SSHConnection, SSHLinuxManager
from pydatatask_ssh.errors import SSHConnectionError
from pydatatask_ssh.remote.shell import Channel, open_channel

from .labs import connect, new_lab

if TYPE_CHECKING:
    from pathlib import Path

    from services.sshd import SSHServer


async def _settled() -> None:
    """Let all callbacks that are ready run."""
    for _ in range(100):
        await asyncio.sleep(0)


class Raw:
    """Replaces a connection of the client library."""

    def __init__(self) -> None:
        self.closed = False
        self.channels: list[Raw] = []

    def is_closed(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def get_connection(self) -> Raw:
        return self

    def get_extra_info(self, name: str) -> None:
        """Return None; the connection is fake."""

    async def wait_closed(self) -> None:
        """Return at once, because closing takes no time."""

    async def create_session(self, make: Any, *_: Any, **__: Any) -> None:
        self.channels.append(Raw())
        make().connection_made(self.channels[-1])


async def test_a_connection_established_after_closing_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Raw] = []
    answers = asyncio.Event()
    answers.set()

    async def connect(_: SSHConnection) -> Raw:
        made.append(Raw())
        await answers.wait()
        return made[-1]

    monkeypatch.setattr(SSHConnection, "_connect", connect)
    async with SSHConnection("machine") as connection:
        made[0].closed = True
        answers.clear()
        getting = asyncio.create_task(connection.get())
        await _settled()
        assert len(made) == 2
    answers.set()
    with pytest.raises(SSHConnectionError, match="closed"):
        await asyncio.wait_for(getting, 20)
    assert not connection.is_up
    assert [raw.closed for raw in made] == [True, True]


async def test_a_login_shell_that_never_reads_is_an_error_and_blocks_no_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pydatatask_ssh.remote.shell.LOGIN_TIMEOUT_SECONDS", 0.01, raising=False)

    def make() -> Channel:
        channel = Channel(lambda _: None, lambda: None)
        asyncio.get_running_loop().call_soon(channel.data_received, b"waiting for /home\n", None)
        return channel

    raw: Any = Raw()
    with pytest.raises(ProcessManagerError, match=r"0\.01 s: waiting for /home"):
        await asyncio.wait_for(open_channel(raw, make, "sh"), 5)
    assert raw.channels[0].closed


async def test_a_channel_whose_opening_was_cancelled_is_closed() -> None:
    raw: Any = Raw()
    opening = asyncio.create_task(
        open_channel(raw, lambda: Channel(lambda _: None, lambda: None), "sh")
    )
    await _settled()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert raw.channels[0].closed


async def test_nothing_is_left_of_a_removed_job(sshd: SSHServer, tmp_path: Path) -> None:
    async with connect(sshd) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        names = [f"job{number}" for number in range(12)]
        await lab.add(*names)
        await lab.run(lab.task("echo >file"))
        assert len(await lab.done.keys()) == len(names)
        rubbish = tmp_path / "processes" / f"lab-{sshd.user}" / ".rubbish"
        assert rubbish.exists()
        await until(lambda: _is_empty(rubbish))


async def test_directories_that_a_driver_could_not_remove_in_time_are_removed_by_the_next(
    sshd: SSHServer, tmp_path: Path
) -> None:
    async with connect(sshd) as connection:
        manager = SSHLinuxManager("app", lambda: connection, tmp_path)
        left = manager.basedir / ".rubbish" / "left" / "with space"
        left.mkdir(parents=True)
        manager.basedir.chmod(0o700)
        await manager.validate()
        await until(lambda: _is_empty(manager.basedir / ".rubbish"))


async def _is_empty(folder: Path) -> bool:
    return not os.listdir(folder)
