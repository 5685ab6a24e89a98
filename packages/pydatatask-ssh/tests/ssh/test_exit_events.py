"""Exit events that supervisors send, and their interpretation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import until

from pydatatask_core.proc_manager import LaunchSpec, ProcessState
from pydatatask_core.testing.processes.backend import new_run
from pydatatask_ssh import SSHLinuxManager
from pydatatask_ssh.remote.exit_events import ExitEvents
from pydatatask_ssh.remote.replies import parse_clock

from .labs import connect, journal_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from services.sshd import SSHServer


async def test_the_end_time_of_an_exit_event_is_that_of_the_remote_clock(
    sshd: SSHServer, tmp_path: Path
) -> None:
    async with connect(sshd) as connection:
        manager = SSHLinuxManager("app", lambda: connection, tmp_path / "root")
        await manager.validate()
        run, spec = new_run(manager), LaunchSpec(b"exit 0", {})
        place = str(run.directory)
        await manager.backend.create(run, spec)
        await manager.backend.start(run, spec)

        async def told() -> bool:
            return manager.watch.ended(place) is not None

        await until(told)
        report = await manager.backend.inspect(run)
        assert (report.state, report.end_time) == (ProcessState.EXITED, manager.watch.ended(place))
        written = journal_of(run.directory).stat().st_mtime
        assert report.end_time == pytest.approx(written, abs=30)

        # A manager that received no exit event queries the status.
        other = SSHLinuxManager("app", lambda: connection, tmp_path / "root")
        assert (await other.backend.inspect(run)).end_time == pytest.approx(written, abs=1e-3)


@pytest.mark.parametrize(
    ("line", "began", "ended"),
    [
        ("0 12.5 /root/run with space", True, 1012.5),
        ("125 12.5 /root/run with space", False, 1012.5),
        ("3 /root/run with space", True, None),  # format of earlier releases
        ("3  /root/run with space", True, None),  # without /proc/uptime
        ("3 ? /root/run with space", True, None),
    ],
)
def test_the_run_is_found_for_any_content_of_the_exit_event(
    line: str, began: bool, ended: float | None
) -> None:
    nothing: Any = None
    watch = ExitEvents(nothing, nothing)
    watch.on_event(line, 1000.0)
    assert watch.began("/root/run with space") is began
    assert watch.ended("/root/run with space") == ended
    watch.on_event(line, None)
    assert watch.ended("/root/run with space") is None


@pytest.mark.parametrize(
    ("lines", "up_since"),
    [
        (["U20.25", "M1000 2001-01-01 00:00:00.750000000 +0000"], 980.5),
        (["U20.25"], None),
        (["M1000 2001-01-01 00:00:00.75 +0000", "Unobody knows"], None),
    ],
)
def test_an_unreadable_clock_is_ignored(lines: Sequence[str], up_since: float | None) -> None:
    assert parse_clock(lines) == up_since
