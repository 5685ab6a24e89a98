"""How a job of a process task begins."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydatatask_core.errors import LaunchRefusedError, ProcessManagerError, TaskError
from pydatatask_core.proc_manager.run import INLINE, Plan, RunExistsError, State
from pydatatask_core.proc_manager.supervisor import STDIN
from pydatatask_core.task.template import gather
from pydatatask_core.utils import async_copyfile

if TYPE_CHECKING:
    from pydatatask_core.proc_manager.run import Run
    from pydatatask_core.task.process import ProcessTask
    from pydatatask_core.utils import AReadStream

    from .jobs import Jobs
    from .live import LiveJob

__all__ = ["EndedElsewhereError", "Launcher"]

log = logging.getLogger("pydatatask.task")

_TRIES = 3


class EndedElsewhereError(TaskError):
    """The record of a job that waited for another attempt is gone: it was killed meanwhile."""


class Launcher:
    """Begins jobs: the directory is made, then the record is written, then the process started.

    :param task: whose jobs.
    """

    def __init__(self, task: ProcessTask) -> None:
        self.task = task

    async def launch(self, live: LiveJob, jobs: Jobs) -> None:
        """Launch a job within the quota.

        Nothing is looked up or rendered for a job that the quota has no room for. If this raises,
        all is as it was, unless the job ``may_live`` or has ``left_traces``.

        :param live: the job.
        :param jobs: all of them.
        :raises LaunchRefusedError: if the quota has no room.
        """
        task = self.task
        failure: BaseException | None = None
        async with task.resource_manager.reservation(
            task.job_resources, window=task.window
        ) as refused:
            if refused is not None:
                raise LaunchRefusedError(task.name, live.job, refused)
            try:
                await self._launch(live, jobs)
            except BaseException as e:
                if not live.may_live:
                    live.leave_machine()
                    raise
                failure = e  # what may be alive keeps its share of the quota
            jobs.count(live)
        if failure is not None:
            raise failure

    async def _launch(self, live: LiveJob, jobs: Jobs) -> None:
        plan, rest = await self._plan(live.job)
        runs = self.task.runs
        run = live.run = self._place(live.job)
        try:
            if not await self._make(live, plan, jobs):
                return
            if live.waiting_for is not None and not await self.task.pids.contains(live.job):
                # Now that there is a directory: who kills it looks for one after the record.
                await runs.remove(run)
                raise EndedElsewhereError(f"job {live.job!r} of {self.task.name} was killed")
            try:
                if rest is not None:
                    async with await runs.write(run, STDIN) as target:
                        await target.write(plan.stdin or b"")
                        await async_copyfile(rest, target)
                live.waiting_for = None
                live.start_time = datetime.now(UTC)
                live.began, live.ended = time.monotonic(), None
                await self.task.pids.dump(live.job, live.record())
                live.may_live = True
                try:
                    await runs.start(run, plan)
                except Exception as e:
                    # Where the directory tells, anything but a plain refusal is looked into.
                    refused = isinstance(e, ProcessManagerError) or not runs.exclusive
                    live.may_live = not refused
                    raise
            except BaseException:
                if not live.may_live:
                    await self._undo(live, jobs)
                raise
        finally:
            if rest is not None:
                await rest.close()
        if run.handle is not None:
            await self.note_handle(live)

    def _place(self, job: str) -> Run:
        """Choose the machine, where several share the jobs, and keep room for the job there."""
        task, runs = self.task, self.task.runs
        host = runs.choose(task.job_resources)
        if not isinstance(host, str):
            raise LaunchRefusedError(task.name, job, host)
        run = task.new_run(job, host)
        runs.hold(run, task.job_resources)
        return run

    async def _plan(self, job: str) -> tuple[Plan, AReadStream | None]:
        """Find out what is to be run; the stream is the rest of stdin, if that is long."""
        task = self.task
        links = {name: link.repo for name, link in task.links.items()}
        names = {"job": job, "task": task.name}
        await task.template.load()
        values = await gather(task.template, job, links, names)
        script = task.template.render_script(job, values, {*links, *names})
        stdin, rest = None, None
        if task.stdin is not None:
            stdin, rest = await _beginning(await task.stdin.open(job, "rb"))
        stdout, stderr = task.plan_streams()
        plan = Plan(
            script=script,
            environ=task.environ,
            stdin=stdin,
            has_stdin=stdin is not None,
            stdout=stdout,
            stderr=stderr,
            shell=task.shell,
        )
        return plan, rest

    async def _make(self, live: LiveJob, plan: Plan, jobs: Jobs) -> bool:
        """Make the directory; tell whether there is something to be started in it.

        A directory that is there is what a driver left behind that died, or that of another one.
        """
        runs = self.task.runs
        for _ in range(_TRIES):
            try:
                await runs.make(live.run, plan)
            except RunExistsError:
                report = await runs.report(live.run, claim=True)
                if report.state is not State.RUNNING:
                    await self._clear(live, jobs)
                    continue
                if not self.task.drives:
                    raise TaskError(
                        f"{self.task.name}: job {live.job!r} is running already, "
                        f"in {str(live.run.directory)!r}"
                    ) from None
                log.warning(
                    "%s: job %s is running already, and is adopted", self.task.name, live.job
                )
                live.may_live = True
                live.restore(await self.task.pids.info(live.job))
                live.set_age(report.age)
                live.waiting_for = None
                await self.task.pids.dump(live.job, live.record())
                return False
            else:
                return True
        raise TaskError(
            f"{self.task.name}: the run directory {str(live.run.directory)!r} of job {live.job!r} "
            "appears again and again; something else uses it"
        )

    async def note_handle(self, live: LiveJob) -> None:
        """Write down which process a job is, where it can only be found by that.

        :param live: the job, which runs; if the store fails this is to be tried again.
        """
        try:
            await self.task.pids.dump(live.job, live.record())
            live.unnoted = False
        except Exception:
            live.unnoted = True
            log.exception(
                "%s: the process of job %s could not be noted, and would be lost if this process "
                "ended now; it is tried again",
                self.task.name,
                live.job,
            )

    async def _undo(self, live: LiveJob, jobs: Jobs) -> None:
        """Leave nothing of a launch that failed."""
        live.left_traces = True
        try:
            if not live.again:
                await self.task.pids.delete(live.job)
            await self._clear(live, jobs)
            live.left_traces = False
        except Exception:
            log.exception("%s: the launch of job %s left traces", self.task.name, live.job)

    async def _clear(self, live: LiveJob, jobs: Jobs) -> None:
        """Remove a directory in which nothing runs, nor is said to by a record of its own.

        :raises TaskError: if it can neither be removed nor renamed.
        """
        if live.again:
            live.waiting_for = datetime.now(UTC)
            await self.task.pids.dump(live.job, live.record())
        left = await self.task.runs.remove(live.run)
        if left is None:
            return
        if self.task.runs.is_obstacle(live.run, left):
            raise TaskError(
                f"{self.task.name}: job {live.job!r} cannot be launched, because its run directory "
                f"{left.place!r}, which an earlier attempt has left, can neither be removed nor "
                f"renamed: {left.reason}. Remove it, or move it elsewhere"
            )
        jobs.leftovers.add(live.job, left)


async def _beginning(stream: AReadStream) -> tuple[bytes, AReadStream | None]:
    """Read a stream to its end if that is near, and give what is left of it otherwise."""
    data = b""
    try:
        while len(data) <= INLINE:
            block = await stream.read(INLINE)
            if not block:
                await stream.close()
                return data, None
            data += block
    except BaseException:
        await stream.close()
        raise
    return data, stream
