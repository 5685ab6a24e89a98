"""Commands that wait until the jobs in their process have ended and are recorded."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from conftest import Program

HEAD = """
import asyncio, os, sys, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import pydatatask_cli
from pydatatask_core import *

def note(job):
    with open("log", "a") as log:
        log.write(job + " ")

async def later(job, inp):
    note(job)
    await asyncio.sleep(1)

def blocking(job, inp):
    note(job)
    time.sleep(1)

async def fails(job, inp):
    note(job)
    raise ValueError("always")

def executor():
    return ThreadPoolExecutor(2)

def main(task):
    task.link("inp", FileRepository("inp"), is_input=True)
    if __name__ == "__main__":
        pydatatask_cli.main(Pipeline([task]))

done = YamlMetadataFileRepository("done")
soon = Retries(1, delay=0.2)
"""

FUNCTION = "InProcessSyncTask('t', done, func={}, retries=soon)"
THREADS = "ExecutorTask('t', ThreadPoolExecutor(2), done, func={}, retries=soon)"
PROCESSES = "ExecutorTask('t', ProcessPoolExecutor(1), done, func={}, retries=soon)"


def write(program: Program, task: str, *jobs: str) -> None:
    """Write a script with one task over the given jobs."""
    program.script.write_text(f"{HEAD}\nmain({task})\n")
    (program.folder / "inp").mkdir()
    for job in jobs:
        (program.folder / "inp" / job).touch()


def records(program: Program) -> dict[str, dict[str, object]]:
    return {
        path.stem: yaml.safe_load(path.read_text())
        for path in sorted((program.folder / "done").glob("*.yaml"))
    }


ENDING = [
    FUNCTION.format("later"),
    THREADS.format("later"),
    THREADS.format("blocking"),
    PROCESSES.format("blocking"),
]


@pytest.mark.parametrize("task", ENDING)
def test_an_update_ends_when_the_jobs_in_its_process_are_recorded(
    program: Program, task: str
) -> None:
    write(program, task, "a", "b")

    program.output("update")

    assert {job: record["success"] for job, record in records(program).items()} == {
        "a": True,
        "b": True,
    }
    assert sorted((program.folder / "log").read_text().split()) == ["a", "b"]


@pytest.mark.parametrize("task", ENDING)
def test_a_launch_ends_when_the_job_in_its_process_is_recorded(program: Program, task: str) -> None:
    write(program, task, "a", "b")

    program.output("launch", "t", "b")

    assert list(records(program)) == ["b"]


@pytest.mark.parametrize("task", [FUNCTION, THREADS, PROCESSES])
@pytest.mark.parametrize("command", [["update"], ["launch", "t", "a"]])
def test_a_failing_job_is_retried_and_the_command_exits_with_1(
    program: Program, task: str, command: list[str]
) -> None:
    write(program, task.format("fails"), "a")

    ended = program.run(*command)

    assert ended.returncode == 1
    assert "job a failed: ValueError: always" in ended.stderr
    assert records(program)["a"]["attempt"] == 2
    assert (program.folder / "log").read_text().split() == ["a", "a"]


def test_failed_jobs_can_be_ignored_in_the_exit_status_of_an_update(program: Program) -> None:
    write(program, FUNCTION.format("fails"), "a")

    program.output("update", "--ok-failures")

    assert records(program)["a"]["success"] is False


def test_an_update_runs_all_ready_jobs_of_an_executor_that_runs_fewer_at_once(
    program: Program,
) -> None:
    jobs = [f"j{number}" for number in range(40)]
    task = "ExecutorTask('t', ThreadPoolExecutor(1), done, func=lambda job, inp: None)"
    write(program, task, *jobs)

    program.output("update")

    assert sorted(records(program)) == sorted(jobs)


def test_an_update_leaves_processes_to_the_next_one(program: Program) -> None:
    (program.folder / "gate").mkdir()
    task = """ProcessTask(
        't', lambda: LocalLinuxManager('t', 'runs'), ResourceManager(Resources.parse(4, 4)),
        Resources.parse(1, 0), YamlMetadataFileRepository('pids'),
        '#!/bin/sh\\nuntil test -e gate/open; do sleep 0.05; done', done=done)"""
    write(program, task.replace("gate/", f"{program.folder}/gate/"), "a")

    program.output("update")
    assert records(program) == {}
    (program.folder / "gate" / "open").touch()
    while not records(program):
        program.output("update")

    assert records(program)["a"]["success"] is True


TASK_GROUPS = """
class Remote(MetadataRepository):
    '''A third party's store, which is down and raises from a TaskGroup.'''
    async def unfiltered_iter(self):
        yield "a"
    async def contains(self, job): return job == "a"
    async def info(self, job):
        async def refuse():
            open("asked", "a").close()
            raise ConnectionRefusedError("refused")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(refuse())
        except ExceptionGroup as e:
            raise e.exceptions[0]
    async def info_many(self, jobs):
        for job in jobs:
            await self.info(job)
    async def dump(self, job, data): ...
    async def delete(self, job): ...

async def nothing(job): ...

up = InProcessSyncTask("up", Remote(), func=nothing)
up.link("x", InProcessMetadataRepository({"a": 1}), is_input=True)
down = InProcessSyncTask("down", InProcessMetadataRepository(), func=nothing)
down.plug(up)
if __name__ == "__main__":
    pydatatask_cli.main(Pipeline([up, down]))
"""


def test_ctrl_c_ends_a_run_with_130_after_a_task_group_of_a_store_has_failed(
    program: Program,
) -> None:
    program.script.write_text(HEAD + TASK_GROUPS)
    running = program.start("run", "--poll", "0.01", stderr=subprocess.PIPE)
    while not (program.folder / "asked").exists():
        assert running.poll() is None

    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=20)

    assert running.returncode == 130
    assert b"Interrupted" in told
    assert b"Traceback" not in told
