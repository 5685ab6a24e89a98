"""Shared setup of the tests of process tasks: a folder with all data, and its drivers."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydatatask_core import (
    FileRepository,
    LocalLinuxManager,
    Pipeline,
    ProcessTask,
    ResourceManager,
    Resources,
    YamlMetadataFileRepository,
)
from pydatatask_core.proc_manager import ProcessState
from pydatatask_core.proc_manager.local.journal import create_entry
from pydatatask_core.proc_manager.local.supervisor.entry import Fields, blank_entry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pydatatask_core import AbstractProcessManager, RunSummary

# The loop ends after some minutes, in case the test is killed before it creates the file.
WAIT = "n=0; while [ ! -e {go} ] && [ $n -lt 9999 ]; do sleep 0.02; n=$((n + 1)); done"


class Lab:
    """A folder that outlives drivers, and the current driver.

    :param root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pids = YamlMetadataFileRepository(root / "pids")
        self.done = YamlMetadataFileRepository(root / "done")
        self.inp = FileRepository(root / "inp")
        self.out = FileRepository(root / "out")
        self.err = FileRepository(root / "err")
        self.go = root / "go"
        self.log = root / "log"
        self.manager: AbstractProcessManager = LocalLinuxManager("lab", root / "processes")
        self.quota = ResourceManager(Resources.parse(4, 4))
        self.pipelines: list[Pipeline] = []

    def again(self) -> Lab:
        """Return a lab over the same folder, for a new driver without any state in memory."""
        return Lab(self.root)

    def task(self, template: Any, name: str = "task", **options: Any) -> ProcessTask:
        """Create a task whose jobs are those in ``inp``, with ``done``.

        :param template: its template; in a string, ``WAIT`` is replaced by the script :data:`WAIT`,
            and ``LOG`` by the path of the log to which scripts append.
        """
        if isinstance(template, str):
            wait = WAIT.format(go=self.go)
            template = template.replace("WAIT", wait).replace("LOG", str(self.log))
        options = {"done": self.done, "job_resources": Resources.parse(1, 1), **options}
        task = ProcessTask(
            name,
            options.pop("manager", lambda: self.manager),
            options.pop("quota", self.quota),
            options.pop("job_resources"),
            options.pop("pids", self.pids),
            template,
            **options,
        )
        if "inp" not in task.links:
            task.link("inp", self.inp, is_input=True)
        return task

    def pipeline(self, *tasks: ProcessTask, **options: Any) -> Pipeline:
        """Create a pipeline without an exclusive lock, so that several drivers can open it."""
        options = {"exclusive": False, **options}
        return Pipeline(tasks, **options)

    async def run(self, *tasks: ProcessTask, **options: Any) -> RunSummary:
        """Run a pipeline of tasks until it is quiet."""
        async with self.pipeline(*tasks) as pipeline:
            return await pipeline.run(poll=0.05, **options)

    async def add(self, *names: str, content: str = "") -> None:
        """Create the inputs of jobs."""
        await self.inp.validate()
        for name in names:
            async with await self.inp.open(name, "w") as stream:
                await stream.write(content or f"input of {name}\n")

    async def text(self, repo: Any, job: str = "a") -> str:
        """Read a blob."""
        async with await repo.open(job, "r") as stream:
            text: str = await stream.read()
            return text

    def lines(self) -> list[str]:
        """Return the sorted lines that scripts have appended to the log."""
        return sorted(self.log.read_text().splitlines()) if self.log.exists() else []

    def directories(self) -> list[Path]:
        """Return the run directories of all jobs."""
        return sorted((self.root / "processes").glob("*/*/*/runs/[!+]*"))

    def status(self) -> Path:
        """Return the file of the journal that the supervisor of the only job writes."""
        [status] = (self.root / "processes").glob("*/*/*/runs/+journal/*@*")
        return status

    def held(self) -> dict[str, dict[str, str]]:
        """Return the output of failed jobs that is held back, by job and stream."""
        found = sorted((self.root / "processes").glob("*/*/*/failed/*"))
        return {
            place.name: {path.name: path.read_text() for path in sorted(place.iterdir())}
            for place in found
        }

    async def quiet(self, task: ProcessTask) -> None:
        """Update a task until it has no jobs left."""
        await until(lambda: _not(task.update()))

    async def running(self, task: ProcessTask, *names: str) -> None:
        """Wait until the scripts of the jobs are running."""
        for name in names:
            run = task.runs.new(name)

            async def lives() -> bool:
                status = await task.backend.inspect(run, fence=False)  # noqa: B023
                return status.state is ProcessState.RUNNING

            await until(lives)

    def empty(self) -> bool:
        """Return True if no run directories, process records or quota of any job remain."""
        usage = self.quota.usage()
        return (
            not self.directories()
            and not list((self.root / "pids").glob("*"))
            and (usage is None or not (usage.cpu or usage.mem))
        )

    async def logged(self) -> None:
        """Wait until a script has appended a line to the log."""

        async def any_line() -> bool:
            return bool(self.lines())

        await until(any_line)


async def make_entry(place: Path, **changes: str) -> Path:
    """Create the journal entry of a run directory whose job was started; return its path.

    :param place: the run directory.
    :param changes: the fields that are not blank, as in :func:`rewrite_entry`.
    """
    ticket = await make_ticket(place, **changes)
    return ticket.rename(ticket.with_name(ticket.name.partition(",")[0]))


async def make_ticket(place: Path, **changes: str) -> Path:
    """Create the journal entry of a run directory whose job was not started; return its path.

    :param place: the run directory.
    :param changes: the fields that are not blank, as in :func:`rewrite_entry`.
    """
    inode = os.lstat(place).st_ino
    entry = await asyncio.to_thread(create_entry, str(place), inode, "boot")
    rewrite_entry(path := Path(entry.folder, entry.ticket), **changes)
    return path


def rewrite_entry(path: Path, **changes: str) -> None:
    """Change fields of an entry of the journal.

    :param path: the entry.
    :param changes: the new values, by the names of the attributes of ``Fields``.
    """
    fields = vars(Fields(path.read_bytes()))
    assert changes.keys() <= fields.keys()
    fields.update({name: value.encode() for name, value in changes.items()})
    widths = [len(line) for line in blank_entry("").split(b"\n")]
    lines = [text.rjust(width) for text, width in zip(fields.values(), widths, strict=False)]
    path.write_bytes(b"\n".join(lines) + b"\n")


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds, limited only by the timeout of the test."""
    while True:
        if await condition():
            return
        await asyncio.sleep(0.01)


async def _not(condition: Awaitable[bool]) -> bool:
    return not await condition
