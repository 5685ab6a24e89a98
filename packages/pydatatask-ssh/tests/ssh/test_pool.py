"""Several machines that share the jobs of a task, and may become unreachable."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import Lab, until

from pydatatask_core import ResourceManager, Resources
from pydatatask_core.errors import ProcessManagerError, TaskConfigurationError
from pydatatask_core.proc_manager import ManagerPool
from pydatatask_ssh import SSHLinuxManager

from .disconnect import cut
from .labs import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from services.sshd import SSHServer

JOBS = [f"job{number}" for number in range(6)]


class Machines(AsyncExitStack):
    """A pool of machines, the first of which has twice the quota of the others.

    :param root: the directory of the lab.
    :param servers: the servers of the machines.
    """

    def __init__(self, root: Path, *servers: SSHServer) -> None:
        super().__init__()
        self.lab = Lab(root)
        self.lab.quota = ResourceManager(Resources.parse(100, 100))
        self.servers = servers

    async def __aenter__(self) -> Self:
        machines = []
        for number, server in enumerate(self.servers):
            connection = await self.enter_async_context(
                connect(server, patience=0.5, optional=True)
            )
            place = self.lab.root / "processes" / str(number)
            manager = SSHLinuxManager("lab", lambda it=connection: it, place)  # type: ignore[misc]
            quota = Resources.parse(2 if number == 0 else 1, 100)
            machines.append((lambda it=manager: it, quota))
        pool = ManagerPool(machines)
        self.task = self.lab.task(
            "echo {{ job }} >>LOG; WAIT", manager=lambda: pool, stdout=self.lab.out
        )
        return self

    async def hosts(self) -> dict[str, str]:
        """Return the host of each job, as its record names it."""
        records = await self.lab.pids.info_all()
        return {job: record["host"] for job, record in records.items()}

    async def all_run(self, count: int) -> None:
        """Wait until `count` jobs are running."""

        async def they_do() -> bool:
            return len(self.lab.lines()) >= count

        await until(they_do)


def name_of(server: SSHServer) -> str:
    return f"127.0.0.1:{server.port}"


async def well_ended(lab: Lab) -> None:
    """Check that each job ran once and succeeded."""
    records = await lab.done.info_all()
    assert {job: record["success"] for job, record in records.items()} == dict.fromkeys(JOBS, True)
    assert lab.lines() == sorted(JOBS)
    assert await lab.pids.keys() == set()


@pytest.fixture
def servers(new_sshd: Callable[..., SSHServer]) -> tuple[SSHServer, SSHServer]:
    return new_sshd(), new_sshd()


async def test_each_machine_runs_as_many_jobs_as_its_quota_allows(
    servers: tuple[SSHServer, SSHServer], tmp_path: Path
) -> None:
    async with Machines(tmp_path, *servers) as machines:
        lab = machines.lab
        await lab.add(*JOBS)
        async with lab.pipeline(machines.task) as pipeline, asyncio.TaskGroup() as group:
            run = group.create_task(pipeline.run(poll=0.05))
            await machines.all_run(3)
            assert Counter((await machines.hosts()).values()) == {
                name_of(servers[0]): 2,
                name_of(servers[1]): 1,
            }
            lab.go.touch()
            await run
        await well_ended(lab)
        hosts = {record["host"] for record in (await lab.done.info_all()).values()}
        assert hosts == set(map(name_of, servers))


async def test_an_unreachable_machine_is_skipped(
    servers: tuple[SSHServer, SSHServer], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    servers[0].server.kill()
    async with Machines(tmp_path, *servers) as machines:
        await machines.lab.add(*JOBS)
        machines.lab.go.touch()
        await machines.lab.run(machines.task)
        await well_ended(machines.lab)
    assert f"{name_of(servers[0])} does not answer and gets no jobs for now" in caplog.text


async def test_a_pool_without_a_reachable_machine_is_an_error_at_opening(
    servers: tuple[SSHServer, SSHServer], tmp_path: Path
) -> None:
    for server in servers:
        server.server.kill()
    async with Machines(tmp_path, *servers) as machines:
        with pytest.raises(ProcessManagerError, match=r"none of the machines .* answers"):
            await machines.lab.run(machines.task)


@pytest.mark.parametrize("restarted", [False, True], ids=["same driver", "next driver"])
async def test_jobs_on_a_machine_that_became_unreachable_are_recovered_when_it_returns(
    servers: tuple[SSHServer, SSHServer], tmp_path: Path, restarted: bool
) -> None:
    away = servers[1]
    async with AsyncExitStack() as stack:
        machines = await stack.enter_async_context(Machines(tmp_path, *servers))
        await machines.lab.add(*JOBS)
        pipeline = await stack.enter_async_context(machines.lab.pipeline(machines.task))
        run = asyncio.ensure_future(pipeline.run(poll=0.05))
        await machines.all_run(3)
        (theirs,) = (job for job, host in (await machines.hosts()).items() if host == name_of(away))
        cut(away)
        away.server.kill()
        if restarted:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
            await stack.aclose()
            machines = await stack.enter_async_context(Machines(tmp_path, *servers))
            pipeline = await stack.enter_async_context(machines.lab.pipeline(machines.task))
            run = asyncio.ensure_future(pipeline.run(poll=0.05))
        machines.lab.go.touch()
        done = machines.lab.done

        async def all_others_ended() -> bool:
            return await done.keys() == set(JOBS) - {theirs}

        await until(all_others_ended)
        assert await machines.hosts() == {theirs: name_of(away)}
        away.server.start()
        await run
        await well_ended(machines.lab)


async def test_a_job_on_a_machine_that_was_removed_from_the_pool_is_unknown(
    servers: tuple[SSHServer, SSHServer], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = {name_of(servers[1])}
    async with Machines(tmp_path, *servers) as machines:
        await machines.lab.add(*JOBS)
        async with machines.lab.pipeline(machines.task) as pipeline:
            await pipeline.update()
            await machines.all_run(3)
        machines.lab.go.touch()
    async with Machines(tmp_path, servers[0]) as fewer:
        left = sorted(job for job, host in (await fewer.hosts()).items() if host in away)
        summary = await fewer.lab.run(fewer.task)
        assert summary.given_up == {fewer.task.name: left}
        assert set((await fewer.hosts()).values()) == {name_of(servers[1])}
    assert "which is not a machine of the pool" in caplog.text
    async with Machines(tmp_path, *servers) as machines:
        await machines.lab.run(machines.task)
        await well_ended(machines.lab)


async def test_a_job_that_fits_on_no_machine_is_an_error_at_opening(
    sshd: SSHServer, tmp_path: Path
) -> None:
    async with Machines(tmp_path, sshd) as machines:
        machines.task.job_resources = Resources.parse(3, 1)
        with pytest.raises(TaskConfigurationError, match="no machine of its pool"):
            await machines.lab.run(machines.task)
        with pytest.raises(TaskConfigurationError, match="several machines"):
            _ = machines.task.manager


async def test_machine_names_must_be_unique(sshd: SSHServer, tmp_path: Path) -> None:
    async with Machines(tmp_path, sshd, sshd) as machines:
        with pytest.raises(ProcessManagerError, match="must have distinct names"):
            await machines.lab.run(machines.task)


@pytest.mark.parametrize("machines", [[], [(5, Resources.parse(1, 1))], [(lambda: None, 1)]])
def test_invalid_pool_options_are_rejected(machines: Any) -> None:
    with pytest.raises(ProcessManagerError, match="a pool"):
        ManagerPool(machines)
