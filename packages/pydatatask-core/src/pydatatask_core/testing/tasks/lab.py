"""The folder in which the conformance suite of tasks works, and the jobs in it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydatatask_core.repository import FileRepository
from pydatatask_core.resource_manager import ResourceManager, Resources

from .stores import Death, DyingFiles, DyingMetadata

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from pydatatask_core.pipeline import Pipeline
    from pydatatask_core.task import Task

__all__ = ["Driver", "TaskLab", "until"]

OUTPUT = "whole output\n"

SCRIPT = """\
job={{ job | quote }}
cd 'ROOT'
echo "$job" >>started
read -r action <"inp/$job"
if [ "$action" = wait ]; then
    n=0
    while [ ! -e go ] && [ $n -lt 9999 ]; do sleep 0.02; n=$((n + 1)); done
fi
if [ "$action" = flaky ] && [ "$(grep -cxF "$job" started)" = 1 ]; then action=fail; fi
if [ "$action" != silent ]; then
    echo 'whole output' >"$job.tmp"
    mv "$job.tmp" "out/$job"
fi
if [ "$action" = fail ]; then exit 1; fi
"""


class TaskLab:
    """A folder that outlives drivers.

    A job does the action that is the content of its input: ``succeed``, ``fail`` (after it has
    written its output), ``silent`` (it ends without its output), ``flaky`` (its first attempt
    fails), or ``wait`` (it succeeds once :meth:`release` was called). :attr:`script` and
    :meth:`perform` implement the actions; a job has to run one of them.

    :param root: the folder.
    :param death: the death of the driver that uses this object.
    """

    def __init__(self, root: Path, death: Death | None = None) -> None:
        self.root = root
        self.death = death or Death()
        self.inp = FileRepository(root / "inp")
        """The inputs. The suite links them to the task."""
        self.out = DyingFiles(root / "out", self.death)
        """The outputs, which the actions write. The suite links them to the task."""
        self.done = DyingMetadata(root / "done", self.death)
        """The outcomes, which the task records."""
        self.records: list[DyingMetadata] = []
        """The repositories that :meth:`metadata` has created."""
        self.quota = ResourceManager(Resources.parse(2, 2))
        """A quota for two jobs."""
        self.request = Resources.parse(1, 1)
        """The share of :attr:`quota` that a job takes."""
        self.succeeded: list[str] = []
        """The jobs that started the task that is plugged after the tested one."""

    def metadata(self, name: str) -> DyingMetadata:
        """Create a metadata repository for records of the task's own.

        :param name: the name of its folder.
        """
        self.records.append(DyingMetadata(self.root / name, self.death))
        return self.records[-1]

    def again(self, death: Death | None = None) -> TaskLab:
        """Return a lab over the same folder for the next driver, without any state in memory.

        :param death: the death of that driver.
        """
        return TaskLab(self.root, death)

    # -- jobs ------------------------------------------------------------------------------------

    @property
    def script(self) -> str:
        """The actions as a POSIX shell script; a Jinja template that uses ``job``."""
        return SCRIPT.replace("ROOT", str(self.root))

    async def perform(self, job: str) -> None:
        """Perform the action of a job, in any event loop.

        :param job: the job.
        :raises RuntimeError: if the action is to fail.
        """
        action = await asyncio.to_thread(self._begin, job)
        if action == "wait":
            await self._released()
        if action != "silent":
            await asyncio.to_thread(self._publish, job)
        if action == "fail":
            raise RuntimeError(f"the action of job {job!r} is to fail")

    def _begin(self, job: str) -> str:
        """Note the start of a job, and return its action."""
        with (self.root / "started").open("a") as stream:
            stream.write(f"{job}\n")
        action = (self.root / "inp" / job).read_text().strip()
        if action == "flaky":
            return "fail" if self.starts(job) == 1 else "succeed"
        return action

    async def _released(self) -> None:
        while True:
            if await asyncio.to_thread((self.root / "go").exists):
                return
            await asyncio.sleep(0.01)

    def _publish(self, job: str) -> None:
        """Write the output of a job atomically."""
        temporary = self.root / f"{job}.tmp"
        temporary.write_text(OUTPUT)
        temporary.rename(self.root / "out" / job)

    async def add(self, action: str, *jobs: str) -> None:
        """Add the inputs of jobs.

        :param action: their action.
        :param jobs: the jobs.
        """
        for repo in (self.inp, self.out, self.done):
            await repo.validate()
        for job in jobs:
            async with await self.inp.open(job, "w") as stream:
                await stream.write(f"{action}\n")

    def release(self) -> None:
        """Resume the waiting jobs."""
        (self.root / "go").touch()

    def starts(self, job: str | None = None) -> int:
        """Return how often a job has started.

        :param job: the job; all of them by default.
        """
        path = self.root / "started"
        lines = path.read_text().splitlines() if path.exists() else []
        return len(lines) if job is None else lines.count(job)

    async def recorded(self, job: str) -> None:
        """Wait until the outcome of a job is recorded.

        :param job: the job.
        """
        while True:
            if await self.outcome(job) is not None:
                return
            await asyncio.sleep(0.01)

    async def started(self, *jobs: str) -> None:
        """Wait until jobs have started.

        :param jobs: the jobs.
        """
        await until(lambda: all(self.starts(job) for job in jobs))

    async def outcome(self, job: str) -> bool | None:
        """Return whether a job has succeeded according to its record; None without one.

        :param job: the job.
        """
        record = await self.again().done.info(job)
        return record["success"] if record else None

    async def output(self, job: str) -> str | None:
        """Return the output of a job; None if it has none.

        :param job: the job.
        """
        if not await self.out.contains(job):
            return None
        async with await self.out.open(job, "r") as stream:
            text: str = await stream.read()
            return text

    @property
    def usage(self) -> tuple[int, int]:
        """The number of shares of the quota in use, by CPU and by memory."""
        used = self.quota.usage()
        return (0, 0) if used is None else (int(used.cpu), int(used.mem))


@dataclass(frozen=True)
class Driver:
    """An open pipeline with the tested task."""

    task: Task
    pipeline: Pipeline
    run_timeout_seconds: float

    async def run(self) -> None:
        """Run the pipeline until it is quiet."""
        await self.pipeline.run(poll=0.05, timeout=self.run_timeout_seconds)

    async def rounds(self, count: int = 3) -> None:
        """Perform some rounds, step by step.

        :param count: their number.
        """
        for _ in range(count):
            await self.pipeline.update()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """Run the pipeline in the background, and cancel it in the end."""
        run = asyncio.create_task(self.run())
        try:
            yield run
        finally:
            run.cancel()
            await asyncio.wait([run])


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, limited only by the timeout of the test.

    :param condition: the condition.
    """
    while True:
        if condition():
            return
        await asyncio.sleep(0.01)
