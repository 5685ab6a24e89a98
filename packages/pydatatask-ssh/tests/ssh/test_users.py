"""Logins as an ordinary user, by key or password, other than the user of the driver."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import until

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager import LaunchSpec, ProcessState
from pydatatask_core.proc_manager.protocol.identity import parse_identity
from pydatatask_core.testing.processes.backend import end_of, finished, line_of, new_run
from pydatatask_ssh import SSHConnection, SSHLinuxManager, SSHLoginError

from .disconnect import cut
from .labs import connect, driven, journal_of, new_lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from services.sshd import SSHServer
    from services.users import User

BY_PASSWORD = {
    "password": ["PasswordAuthentication=yes"],
    "keyboard-interactive": ["UsePAM=yes", "KbdInteractiveAuthentication=yes"],
}


async def test_all_created_files_are_private_and_belong_to_the_user(
    of_user: SSHConnection, user: User, root: Path
) -> None:
    manager = SSHLinuxManager("app", lambda: of_user, root)
    await manager.validate()
    run = new_run(manager)
    script = b"id -u; echo made >made; exec sleep 600"
    await manager.backend.create(run, LaunchSpec(script, {}, stdout=True))
    await manager.backend.start(run, LaunchSpec(script, {}, stdout=True))
    assert await line_of(manager.backend, manager, run) == f"{user.uid}\n".encode()
    assert user.uid != os.geteuid()
    identity = parse_identity(journal_of(run.directory).read_bytes())
    assert identity is not None
    processes = [f"/proc/{pid}" for pid in (identity.process.pid, identity.supervisor)]
    files = [str(path) for path in [manager.basedir, *manager.basedir.rglob("*")]]
    owners = {path: os.lstat(path).st_uid for path in [*processes, *files]}
    assert owners == dict.fromkeys(owners, user.uid)
    for folder in (manager.basedir, run.directory):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert await manager.backend.terminate(run, "enough", force=True)
    assert (await end_of(manager.backend, run)).stop_reason == "enough"


@pytest.fixture
def shared_root() -> Iterator[Path]:
    """Return a directory shared by all users, like /tmp."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="pdt") as name:
        root = Path(name) / "root"
        Path(name).chmod(0o755)
        root.mkdir()
        root.chmod(0o1777)
        yield root


async def test_processes_of_another_user_are_neither_considered_dead_nor_terminated(
    sshd: SSHServer, of_user: SSHConnection, shared_root: Path
) -> None:
    root = shared_root
    async with SSHConnection(**sshd.login) as connection:
        ours = SSHLinuxManager("app", lambda: connection, root)
        await ours.validate()
        theirs = SSHLinuxManager("app", lambda: of_user, root)
        await theirs.validate()
        assert ours.basedir != theirs.basedir
        place = root / "place"
        await ours.mkdir(place)
        handle = await ours.spawn(
            ["/bin/sleep", "600"], {}, str(place), str(place / "rc"), None, None, None
        )
        await theirs.kill(handle)
        assert await theirs.get_live_pids({handle}) == {handle}
        with pytest.raises(ProcessManagerError, match="Permission denied"):
            await theirs.rmtree(place)
        with pytest.raises(OSError, match="Permission denied"):
            await theirs.open(ours.basedir / ".ends", "rb")
        await ours.kill(handle)


async def test_a_pipeline_of_an_ordinary_user_outlives_its_connection(
    sshd_of_user: SSHServer, root: Path, tmp_path: Path
) -> None:
    async with connect(sshd_of_user) as connection:
        lab = new_lab(tmp_path, lambda: connection)
        lab.manager = SSHLinuxManager("lab", lambda: connection, root)
        lab.go, lab.log = root / "go", root / "log"
        await lab.manager.mkdir(root)
        async with driven(lab, "a", "b"):
            cut(sshd_of_user)
            lab.go.touch()
        records = await lab.done.info_all()
        assert {job: record["success"] for job, record in records.items()} == {"a": True, "b": True}
        assert lab.empty()


# -- passwords -----------------------------------------------------------------------------------


@pytest.fixture(params=BY_PASSWORD)
def by_password(
    request: pytest.FixtureRequest, user: User, new_sshd: Callable[..., SSHServer]
) -> SSHServer:
    """Return a server that accepts only the user's password."""
    options = BY_PASSWORD[request.param]
    found: SSHServer = new_sshd(*options, "PubkeyAuthentication=no")
    return found


def _login(server: SSHServer, user: User, password: Any) -> dict[str, Any]:
    login = {**server.login, "username": user.name, "client_keys": None, "password": password}
    return {"keepalive": 15.0, "patience": 60.0, **login}


@pytest.mark.parametrize("kind", ["text", "callable", "coroutine function"])
async def test_a_password_is_used_for_the_first_login_and_for_reconnecting(
    by_password: SSHServer,
    user: User,
    root: Path,
    kind: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)

    async def asked() -> str:
        return user.password

    password = {"text": user.password, "callable": lambda: user.password}.get(kind, asked)
    async with SSHConnection(**_login(by_password, user, password)) as connection:
        manager = SSHLinuxManager("app", lambda: connection, root)
        for name in ("first", "second"):
            report = await finished(
                manager.backend, new_run(manager, name), LaunchSpec(b"exit 3", {})
            )
            assert (report.state, report.return_code) == (ProcessState.EXITED, 3)
            await _cut(by_password, connection)
        assert user.password not in repr((connection, manager, manager.session))
    assert user.password not in caplog.text


async def test_a_wrong_password_is_reported_with_the_points_to_check_and_tried_once(
    by_password: SSHServer, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "not-the-password-1"
    with pytest.raises(SSHLoginError, match=r"refuses the login.*user name.*password") as caught:
        async with SSHConnection(**_login(by_password, user, wrong)):
            pass
    assert wrong not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert await _refusals(by_password) == 1


async def test_a_password_that_is_rejected_later_is_retried_rarely(
    by_password: SSHServer, user: User, root: Path
) -> None:
    passwords = [user.password]
    login = _login(by_password, user, lambda: passwords[-1])
    async with SSHConnection(**login) as connection:
        manager = SSHLinuxManager("app", lambda: connection, root)
        await manager.validate()
        passwords.append("not-the-password-2")
        await _cut(by_password, connection)
        for _ in range(5):
            with pytest.raises(SSHLoginError, match="refuses the login"):
                await manager.get_live_pids({"1.1-1-x"})
        assert await _refusals(by_password) == 1
        passwords.append(user.password)
    async with connection:  # the user has checked the password before opening it again
        await manager.validate()


async def _cut(server: SSHServer, connection: SSHConnection) -> None:
    """Cut the connection, and wait until the client notices."""
    cut(server)

    async def noticed() -> bool:
        return not connection.is_up

    await until(noticed)


async def _refusals(server: SSHServer) -> int:
    """Count the logins that a server has refused, once it has logged the last one."""

    def count() -> int:
        refused = ("Failed password", "Failed keyboard-interactive")
        return sum(server.log().count(it) for it in refused)

    async def any_refused() -> bool:
        return count() > 0

    await until(any_refused)
    return count()
