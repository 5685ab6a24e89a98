"""A pipeline of two stages of scripts, and the folder with its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core import (
    FileRepository,
    Pipeline,
    ProcessTask,
    ResourceManager,
    Resources,
    Retries,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pydatatask_core import AbstractProcessManager, Session

STAGES = ("first", "second")
JOBS = [*(f"good{number}" for number in range(8)), "bad1", "bad22", "flaky1", "flaky22"]
OUT_OF_ROOM = 9
"""Exit status of a script that could not write its output."""

ATTEMPTS = 3
"""Maximum number of runs of a job."""

SCRIPT = """\
echo 'begin {stage} {{{{ job }}}}' >>'{log}'
sleep 0.0{{{{ job | length }}}}
code=0
cat || code=9
echo 'end of {{{{ job }}}} in {stage}' || code=9
case '{stage} {{{{ job }}}}' in
'first bad'*) code=3 ;;
*' flaky'*) [ $(grep -cx 'begin {stage} {{{{ job }}}}' '{log}') -ge 2 ] || code=4 ;;
esac
echo 'finish {stage} {{{{ job }}}}' >>'{log}'
exit $code
"""


class World:
    """The folder that outlives the drivers.

    :param root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log"
        self.processes = root / "processes"

    def populate(self, jobs: list[str]) -> None:
        """Create the inputs of the jobs."""
        (self.root / "inp").mkdir(parents=True)
        for job in jobs:
            (self.root / "inp" / job).write_text(self.input(job))
        self.log.touch()

    @staticmethod
    def input(job: str) -> str:
        """Return the input of a job."""
        return f"input of {job}\n" * 3

    def output(self, stage: str, job: str) -> str:
        """Return the expected output of a job in a stage."""
        before = self.input(job) if stage == "first" else self.output("first", job)
        return f"{before}end of {job} in {stage}\n"

    def expected(self, stage: str, job: str) -> tuple[int, int]:
        """Return the expected number of runs of a job, and its last exit status."""
        if job.startswith("bad"):
            return (ATTEMPTS, 3) if stage == "first" else (0, 0)
        return (2, 0) if job.startswith("flaky") else (1, 0)

    def pipeline(
        self,
        metadata: type[Any],
        blobs: type[FileRepository],
        manager: Callable[[], AbstractProcessManager],
        session: Session | None = None,
    ) -> tuple[Pipeline, ResourceManager]:
        """Create the pipeline and its quota.

        :param metadata: the type of metadata repositories.
        :param blobs: the type of blob repositories.
        :param manager: the factory of the process manager.
        :param session: the session of the manager's resources; None if it needs none.
        """
        quota = ResourceManager(Resources.parse(4, 4))
        tasks: list[ProcessTask] = []
        source: FileRepository = FileRepository(self.root / "inp")
        for stage in STAGES:
            target = blobs(self.root / f"{stage} out")
            task = ProcessTask(
                stage,
                manager,
                quota,
                Resources.parse(1, 1),
                metadata(self.root / f"{stage} pids"),
                SCRIPT.format(stage=stage, log=self.log),
                done=metadata(self.root / f"{stage} done"),
                stdin=source,
                stdout=target,
                retries=Retries(ATTEMPTS - 1, delay=0.05, factor=1),
            )
            if tasks:
                task.plug(tasks[0], output_links=["done", "pids"])
            tasks.append(task)
            source = target
        return Pipeline(tasks, session), quota

    def held(self, stage: str, job: str) -> str | None:
        """Return the output of a failed job that is held back, if there is any."""
        found = list(self.processes.glob(f"*/{stage}/*/failed/{job}/.stdout"))
        return found[0].read_text() if found else None

    def directories(self) -> list[Path]:
        """Return the run directories of all jobs."""
        return sorted(self.processes.glob("*/*/*/runs/[!+]*"))
