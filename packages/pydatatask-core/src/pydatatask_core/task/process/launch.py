"""The launch of a job of a process task."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydatatask_core.errors import LaunchRefusedError, ProcessManagerError, TaskError
from pydatatask_core.proc_manager.process import (
    MAX_INLINE_BYTES,
    LaunchSpec,
    ProcessState,
    RunExistsError,
)
from pydatatask_core.proc_manager.protocol.run_directory import STDIN
from pydatatask_core.task.template import read_values
from pydatatask_core.utils import async_copyfile

if TYPE_CHECKING:
    from pydatatask_core.proc_manager.backend import ProcessBackend
    from pydatatask_core.proc_manager.process import ProcessRun
    from pydatatask_core.utils import AReadStream

    from .job import ProcessJob
    from .task import ProcessTask
    from .tracker import ProcessTracker

__all__ = ["EndedElsewhereError", "Launcher"]

log = logging.getLogger("pydatatask.task")

_MAX_ATTEMPTS = 3


class EndedElsewhereError(TaskError):
    """A job that waited for a retry has no record anymore: another process killed it."""


class Launcher:
    """Launches jobs: creates the directory, then writes the record, then starts the process.

    :param task: the task.
    """

    def __init__(self, task: ProcessTask) -> None:
        self.task = task

    async def launch(self, tracked: ProcessJob, tracker: ProcessTracker) -> None:
        """Launch a job within the quota.

        Values are read and templates rendered only if the quota has room. If this raises, nothing
        has changed, unless ``may_have_process`` or ``cleanup_failed`` of the job is set.

        :param tracked: the job.
        :param tracker: all jobs of the task.
        :raises LaunchRefusedError: if the quota is exhausted.
        """
        task = self.task
        failure: BaseException | None = None
        async with task.quota.reservation(tracked.request, window=task.window) as refused:
            if refused is not None:
                raise LaunchRefusedError(task.name, tracked.job, refused)
            try:
                await self._launch(tracked, tracker)
            except BaseException as e:
                if not tracked.may_have_process:
                    tracked.release_host()
                    raise
                failure = e  # a process that may be alive keeps its share of the quota
            tracker.hold_quota(tracked)
        if failure is not None:
            raise failure

    async def _launch(self, tracked: ProcessJob, tracker: ProcessTracker) -> None:
        spec, rest = await self._prepare_spec(tracked.job)
        backend = self.task.backend
        run = tracked.run = self._reserve_host(backend, tracked.job)
        try:
            if not await self._create_directory(backend, tracked, spec, tracker):
                return
            if tracked.retry_at is not None and not await self.task.pids.contains(tracked.job):
                # Check after creating the directory: `kill` deletes the record, then looks for one.
                await backend.remove(run)
                raise EndedElsewhereError(f"job {tracked.job!r} of {self.task.name} was killed")
            try:
                if rest is not None:
                    async with await backend.open_input(run, STDIN) as target:
                        await target.write(spec.stdin or b"")
                        await async_copyfile(rest, target)
                tracked.retry_at = None
                tracked.start_time = datetime.now(UTC)
                tracked.started_at, tracked.exit_seen_at = time.monotonic(), None
                await self.task.pids.dump(tracked.job, tracked.live_record())
                tracked.may_have_process = True
                try:
                    await backend.start(run, spec)
                except Exception as e:
                    # Only a backend with atomic directories can find out later if it started.
                    refused = isinstance(e, ProcessManagerError) or not backend.atomic_create
                    tracked.may_have_process = not refused
                    raise
            except BaseException:
                if not tracked.may_have_process:
                    await self._undo(tracked, tracker)
                raise
        finally:
            if rest is not None:
                await rest.close()
        if run.handle is not None:
            await tracker.save_handle(tracked)

    def _reserve_host(self, backend: ProcessBackend, job: str) -> ProcessRun:
        """Choose a machine, if the jobs run on several, and reserve room for the job on it."""
        task = self.task
        host = backend.choose_host(task.job_resources)
        if not isinstance(host, str):
            raise LaunchRefusedError(task.name, job, host)
        run = task.runs.new(job, host)
        backend.reserve_host(run, task.job_resources)
        return run

    async def _prepare_spec(self, job: str) -> tuple[LaunchSpec, AReadStream | None]:
        """Return the launch specification, and the rest of stdin as a stream if it is long."""
        task = self.task
        links = {name: link.repo for name, link in task.links.items()}
        names = {"job": job, "task": task.name}
        await task.template.load()
        values = await read_values(task.template, job, links, names)
        script = task.template.render_script(job, values, {*links, *names})
        stdin, rest = None, None
        if task.stdin is not None:
            stdin, rest = await _read_head(await task.stdin.open(job, "rb"))
        spec = LaunchSpec(
            script=script,
            environ=task.environ,
            stdin=stdin,
            has_stdin=stdin is not None,
            stdout=task.streams.stdout,
            stderr=task.streams.stderr,
            shell=task.shell,
            detach=task.detach,
        )
        return spec, rest

    async def _create_directory(
        self,
        backend: ProcessBackend,
        tracked: ProcessJob,
        spec: LaunchSpec,
        tracker: ProcessTracker,
    ) -> bool:
        """Create the directory; return False if a process is already running in it.

        An existing directory is that of a driver that died, or that of another process.
        """
        for _ in range(_MAX_ATTEMPTS):
            try:
                await backend.create(tracked.run, spec)
            except RunExistsError:
                status = await backend.inspect(tracked.run, fence=True)
                if status.state is not ProcessState.RUNNING:
                    await self._remove_directory(tracked, tracker)
                    continue
                if not self.task.drives:
                    raise TaskError(
                        f"{self.task.name}: job {tracked.job!r} is running already, "
                        f"in {str(tracked.run.directory)!r}"
                    ) from None
                log.warning(
                    "%s: job %s is running already; adopting it", self.task.name, tracked.job
                )
                tracked.may_have_process = True
                tracked.restore(await self.task.pids.info(tracked.job))
                tracked.set_age(status.age_seconds)
                tracked.retry_at = None
                await self.task.pids.dump(tracked.job, tracked.live_record())
                return False
            else:
                return True
        raise TaskError(
            f"{self.task.name}: the run directory {str(tracked.run.directory)!r} of job "
            f"{tracked.job!r} reappears after removal; another program uses it"
        )

    async def _undo(self, tracked: ProcessJob, tracker: ProcessTracker) -> None:
        """Undo a failed launch."""
        tracked.cleanup_failed = True
        try:
            if not tracked.has_record:
                await self.task.pids.delete(tracked.job)
            await self._remove_directory(tracked, tracker)
            tracked.cleanup_failed = False
        except Exception:
            log.exception(
                "%s: the failed launch of job %s was not undone", self.task.name, tracked.job
            )

    async def _remove_directory(self, tracked: ProcessJob, tracker: ProcessTracker) -> None:
        """Remove a directory without a running process, after marking the record as waiting.

        :raises TaskError: if it can neither be removed nor renamed.
        """
        if tracked.has_record:
            tracked.retry_at = datetime.now(UTC)
            await self.task.pids.dump(tracked.job, tracked.live_record())
        leftover = await self.task.backend.remove(tracked.run)
        if leftover is None:
            return
        if self.task.backend.blocks_launch(tracked.run, leftover):
            raise TaskError(
                f"{self.task.name}: job {tracked.job!r} cannot be launched, because its run "
                f"directory {leftover.path!r}, left by an earlier attempt, can neither be "
                f"removed nor renamed: {leftover.reason}. Remove it, or move it elsewhere"
            )
        tracker.leftovers.add(tracked.job, leftover)


async def _read_head(stream: AReadStream) -> tuple[bytes, AReadStream | None]:
    """Read a stream up to a limit; return the data, and the stream unless it has ended."""
    data = b""
    try:
        while len(data) <= MAX_INLINE_BYTES:
            block = await stream.read(MAX_INLINE_BYTES)
            if not block:
                await stream.close()
                return data, None
            data += block
    except BaseException:
        await stream.close()
        raise
    return data, stream
