"""Secrets stay hidden from other users: passwords, and the variables of jobs."""

from __future__ import annotations

import os
import shutil
import uuid
from typing import TYPE_CHECKING

import pytest

from pydatatask_core.proc_manager import LaunchSpec
from pydatatask_core.testing.processes.backend import finished, new_run
from pydatatask_ssh import SSHLinuxManager, SSHLoginError

from .labs import connect

if TYPE_CHECKING:
    from pathlib import Path

    from services.sshd import SSHServer

WATCHES = """\
#!/bin/sh
for process in /proc/[0-9]*; do tr '\\0' ' ' <$process/cmdline; echo; done >>{seen} 2>/dev/null
exec {program} "$@"
"""


@pytest.mark.parametrize("shell", ["dash", "bash"])
async def test_variables_appear_in_no_command_line(
    sshd: SSHServer, tmp_path: Path, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    seen, programs = tmp_path / "seen", tmp_path / "programs"
    programs.mkdir()
    for name in ("env", "setsid"):
        text = WATCHES.format(seen=seen, program=shutil.which(name))
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    path = f"PATH={programs}:{os.environ['PATH']}"
    monkeypatch.setattr(SSHLinuxManager, "posix_shell", f"/usr/bin/env {path} {shell}")
    # The command lines of all processes are searched, so the words must be unique.
    secret, folder, open_word = (uuid.uuid4().hex for _ in range(3))
    own_path = f"/{folder}:{os.environ['PATH']}"
    environ = {"SECRET": f"{secret}\n'et", "PATH": own_path, "UID": open_word, "LINENO": "-n"}
    async with connect(sshd) as connection:
        manager = SSHLinuxManager("app", lambda: connection, tmp_path / "root")
        await manager.validate()
        run = new_run(manager)
        dump = f"cat /proc/$$/environ; cat /proc/$$/cmdline /proc/$PPID/cmdline >>{seen}"
        report = await finished(
            manager.backend, run, LaunchSpec(dump.encode(), environ, stdout=True)
        )
    output = report.outputs[".stdout"].data
    assert output is not None
    given = dict(it.split("=", 1) for it in output.decode().split("\0") if "=" in it)
    assert {name: given.get(name) for name in environ} == environ
    shown = seen.read_text()
    assert f"UID={open_word}" in shown  # the shell reserves this name, so only `env` can set it
    assert secret not in shown
    assert folder not in shown


async def test_no_secret_is_ever_shown(sshd: SSHServer) -> None:
    with pytest.raises(SSHLoginError) as caught:
        async with connect(sshd, password="s3cret", client_keys=None) as connection:
            assert "s3cret" not in repr(connection)
    assert "s3cret" not in str(caught.value)
