"""Tasks with a manager that has only the documented methods, and with one that is polled."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import until
from processes.plain import PlainManager

from pydatatask_core import LocalLinuxManager, Retries
from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.proc_manager import backend

if TYPE_CHECKING:
    from pathlib import Path

    from processes.lab import Lab


@pytest.fixture
def plain(lab: Lab) -> PlainManager:
    lab.manager = PlainManager(lab.root / "plain")
    return lab.manager


def left(lab: Lab) -> list[Path]:
    """List the existing run directories."""
    return sorted((lab.root / "plain").glob("*/*/runs/*"))


async def test_jobs_run_and_are_recorded(lab: Lab, plain: PlainManager) -> None:
    await lab.add("good", "bad")
    template = "read -r line; echo $line {{ job }}; echo err >&2; [ {{ job }} = good ]"
    summary = await lab.run(lab.task(template, stdin=lab.inp, stdout=lab.out, stderr=lab.err))
    assert summary.failed == {"task": ["bad"]}
    assert await lab.text(lab.out, "good") == "input of good good\n"
    assert await lab.text(lab.err, "bad") == "err\n"
    record = await lab.done.info("bad")
    assert (record["return_code"], record["stderr_tail"]) == (1, "err\n")
    assert left(lab) == []
    assert await lab.pids.keys() == set()


async def test_the_live_record_contains_the_identifier(lab: Lab, plain: PlainManager) -> None:
    await lab.add("a")
    task = lab.task("WAIT")
    await task.launch("a")
    assert {(await lab.pids.info("a"))["pid"]} == await plain.get_live_pids(set())
    lab.go.touch()
    await lab.quiet(task)


async def test_a_job_is_adopted_by_its_identifier(lab: Lab, plain: PlainManager) -> None:
    await lab.add("a")
    task = lab.task("echo ran >>LOG; WAIT", stdout=lab.out)
    await task.launch("a")
    task.attach(None)
    lab.quota = lab.again().quota
    lab.go.touch()
    await lab.run(lab.task("exit 9", stdout=lab.out))
    assert (await lab.done.info("a"))["success"] is True
    await until(lambda: _no(plain))
    assert lab.lines() == ["ran"]


async def _no(plain: PlainManager) -> bool:
    return not await plain.get_live_pids(set())


async def test_a_job_whose_identifier_was_not_recorded_is_lost(
    lab: Lab, plain: PlainManager
) -> None:
    await lab.add("a")
    await lab.pids.validate()
    task = lab.task("echo ran >>LOG")
    await task.runs.load_namespace()
    await lab.pids.dump("a", {"handle": str(task.runs.new("a").directory), "attempt": 1})
    await lab.run(task)
    assert "may still be running" in (await lab.done.info("a"))["reason"]
    assert lab.lines() == []


async def test_a_failed_job_is_retried(lab: Lab, plain: PlainManager) -> None:
    await lab.add("a")
    task = lab.task("echo ran >>LOG; [ $(wc -l <LOG) = 2 ]", retries=Retries(1, delay=0.01))
    await lab.run(task)
    record = await lab.done.info("a")
    assert (record["success"], record["attempt"]) == (True, 2)
    assert left(lab) == []


async def test_a_job_that_exceeds_its_timeout_is_killed(lab: Lab, plain: PlainManager) -> None:
    await lab.add("a")
    await lab.run(lab.task("WAIT", timeout=0.2))
    assert (await lab.done.info("a"))["timed_out"] is True


async def test_waiting_for_an_exit_status_that_never_appears_has_a_limit(
    lab: Lab, plain: PlainManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Release 0.4 waited forever, and kept the quota of the job."""

    class NoSuchFile(Exception):
        """An exception that a foreign manager may raise in place of FileNotFoundError."""

    class Forgetful(PlainManager):
        async def open(self, path: Path, mode: str) -> Any:
            if path.name == ".status":
                raise NoSuchFile("no such file")
            return await super().open(path, mode)

    monkeypatch.setattr(backend, "LOST_TIMEOUT_SECONDS", 0.2)
    lab.manager = Forgetful(lab.root / "plain")
    await lab.add("a")
    await lab.run(lab.task("true"))
    record = await lab.done.info("a")
    assert record["lost"] is True
    assert "NoSuchFile: no such file" in record["reason"]
    assert not lab.directories()
    assert lab.empty()


async def test_an_unreachable_target_does_not_mark_its_jobs_as_dead(lab: Lab, caplog: Any) -> None:
    class Unreachable(PlainManager):
        reachable = True

        async def get_live_pids(self, hint: set[str]) -> set[str]:
            if not self.reachable:
                raise ProcessManagerError("the target cannot be reached")
            return await super().get_live_pids(hint)

    manager = lab.manager = Unreachable(lab.root / "plain")
    await lab.add("a")
    task = lab.task("WAIT")
    await task.launch("a")
    manager.reachable = False
    lab.go.touch()
    for _ in range(3):
        assert await task.update()
    assert task.running == {"a"}
    assert caplog.text.count("the target cannot be reached") == 1
    manager.reachable = True
    await lab.quiet(task)
    assert (await lab.done.info("a"))["success"] is True


async def test_an_object_that_is_not_a_manager_is_rejected(lab: Lab) -> None:
    task = lab.task("true", manager=lambda: "localhost")
    with pytest.raises(ValueError, match="'localhost', which is not a process manager"):
        await lab.run(task)


async def test_a_factory_may_return_a_new_manager_each_time(lab: Lab) -> None:
    await lab.add("a")
    path = lab.root / "processes"
    await lab.run(lab.task("echo hi", stdout=lab.out, manager=lambda: LocalLinuxManager("x", path)))
    assert await lab.text(lab.out) == "hi\n"


async def test_without_process_descriptors_the_process_is_polled(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", refuse)
    await lab.add("a", "b")
    await lab.run(lab.task("echo {{ job }}; exit 2", stdout=lab.out))
    assert (await lab.done.info("a"))["return_code"] == 2
    assert (await lab.done.info("b"))["stdout_tail"] == "b\n"
    assert lab.empty()


async def test_a_directory_that_cannot_be_removed_is_reported_once_and_blocks_nothing(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(PlainManager):
        async def rmtree(self, path: Path) -> None:
            raise PermissionError(1, "Operation not permitted", str(path))

    lab.manager = Stubborn(lab.root / "plain")
    await lab.add("a")
    template = "echo ran >>LOG; [ $(wc -l <LOG) = 2 ]"
    await lab.run(lab.task(template, retries=Retries(1, delay=0.01)))
    record = await lab.done.info("a")
    assert (record["success"], record["attempt"]) == (True, 2)
    assert len(left(lab)) == 2
    first, last = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "cannot be removed and is left as" in first
    assert "2 run directories of finished jobs are left in" in last
