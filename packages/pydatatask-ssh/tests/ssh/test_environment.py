"""Variables that no shell passes on, or that prevent a shell from starting."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pydatatask_core.proc_manager import LaunchSpec, ProcessState
from pydatatask_core.testing.processes.backend import finished, new_run
from pydatatask_ssh import SSHLinuxManager

from .labs import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from services.sshd import SSHServer

ODD = {
    "spark.home": "/opt/spark",
    "BASH_FUNC_module%%": "() { echo module $*; }",
    "a b-c": 'it\'s\n"x" $HOME',
    "OPTIND": "x",
    "PLAIN": "p",
    "UID": "u",
}

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


async def _environ(manager: SSHLinuxManager, environ: dict[str, str]) -> dict[str, str]:
    """Return the environment of a job."""
    run = new_run(manager)
    spec = LaunchSpec(b"#!/usr/bin/env -S cat /proc/self/environ\n", environ, stdout=True)
    report = await finished(manager.backend, run, spec)
    assert (report.state, report.return_code) == (ProcessState.EXITED, 0), report
    data = report.outputs[".stdout"].data
    assert data is not None
    return dict(it.split("=", 1) for it in data.decode().split("\0") if "=" in it)


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
async def test_variables_whose_names_are_not_identifiers_reach_the_job(
    sshd: SSHServer, tmp_path: Path, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which(shell.split(maxsplit=1)[0]) is None:
        pytest.skip(f"{shell} is not installed")
    monkeypatch.setattr(SSHLinuxManager, "posix_shell", shell)
    async with connect(sshd) as connection:
        manager = SSHLinuxManager("app", lambda: connection, tmp_path / "root")
        await manager.validate()
        given = await _environ(manager, ODD)
    assert {name: given.get(name) for name in ODD} == ODD
    assert not [name for name in given if name.startswith("pydatatask_given")]


@needs_bash
async def test_exported_functions_can_be_called_in_a_script(
    sshd: SSHServer, tmp_path: Path
) -> None:
    async with connect(sshd) as connection:
        manager = SSHLinuxManager("app", lambda: connection, tmp_path / "root")
        await manager.validate()
        spec = LaunchSpec(b"#!/bin/bash\nmodule load gcc", ODD, stdout=True)
        report = await finished(manager.backend, new_run(manager), spec)
    assert report.outputs[".stdout"].data == b"module load gcc\n"


async def test_a_login_with_an_invalid_optind_does_not_prevent_processes_from_starting(
    new_sshd: Callable[..., SSHServer], tmp_path: Path
) -> None:
    server = new_sshd("SetEnv=OPTIND=x")
    async with connect(server, patience=1.0) as connection:
        manager = SSHLinuxManager("app", lambda: connection, tmp_path / "root")
        await manager.validate()
        report = await finished(manager.backend, new_run(manager), LaunchSpec(b"exit 4", {}))
    assert (report.state, report.return_code) == (ProcessState.EXITED, 4)
