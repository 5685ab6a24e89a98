"""Scripts that run as processes, on this machine or on the target of a process manager.

Importing the class is cheap: the modules needed to run jobs are imported when a task is created.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from pydatatask_core.errors import (
    LaunchRefusedError,
    TaskConfigurationError,
    TaskError,
)
from pydatatask_core.task.template import plain_names

from .config import ProcessConfig

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from pydatatask_core.resource_manager import Resources
    from pydatatask_core.task.runtime import Runtime

    from .job import ProcessJob

__all__ = ["ProcessTask"]

_POLL_INTERVAL_SECONDS = 0.05

MAX_PENDING_RECORDS = 64
"""The number of unrecorded outcomes from which on no more jobs are launched."""


class ProcessTask(ProcessConfig):
    """A task that runs a script.

    The interpreter is specified by the shebang. Without one it is ``bash -euo pipefail``, so that a
    failing command, also inside a pipe, ends the script, or ``sh -eu`` on targets without bash.
    The execution environment of the task is defined by the process manager.

    A script succeeds with exit status 0; its job has nevertheless failed if an output that is not
    optional is missing then. ``pydatatask_core.task.process`` and ``pydatatask_core.proc_manager``
    specify the ``done`` records, and the recovery of jobs after any crash.

    :param name: the name of this task.
    :param manager: a callable that returns the process manager for the target, or a
        :class:`ManagerPool` of several.
    :param resource_manager: the quota. Jobs count against it, and wait while it is exhausted.
    :param job_resources: the resources that each job takes of the quota. The target does not
        enforce them.
    :param pids: a metadata repository of the live processes. Linked as "pids" with ``is_status``,
        ``inhibits_start``, ``inhibits_output``.
    :param template: the Jinja2 template of the script, as a string or a path to a file; or a
        :class:`Template`, which can have other delimiters. It may use ``job``, ``task`` and every
        link, whose value is the data of the job in its repository; ``{{ x | quote }}`` prints one
        shell word. A byte order mark, and blank lines and indentation before ``#!``, are removed.
    :param window: how long a launch counts against the launch rate of the quota, as a timedelta
        or in seconds.
    :param environ: additional environment variables to set on the target.
    :param done: a metadata repository for the outcome of each job. Linked as "done" with
        ``is_status``, ``inhibits_start``, ``required_for_output``. It holds ``success``,
        ``return_code``, ``start_time``, ``end_time``, ``duration`` (seconds), ``attempt``,
        ``host`` and ``handle``; after a failure also ``reason``, and ``signal``, ``lost``,
        ``timed_out``, ``killed`` or ``missing_outputs`` if that applies. ``stderr_tail`` is the
        last 4 KiB of its stderr (``stdout_tail`` if they are interleaved), always after a failure,
        and after a success if stderr is not published; ``stdout_tail`` is the last 64 KiB of a
        stdout that is held back.
    :param stdin: a blob repository for the standard input of the process, which is copied to the
        target first. Linked as "stdin" with ``is_input``.
    :param stdout: a blob repository for the standard output of the process, which is stored when
        it has ended. Linked as "stdout" with ``is_output``. The output of a failed job is not data:
        it is held back on the target, in a directory ``failed/JOB`` below :attr:`basedir`, until
        the job succeeds, is retried or deleted.
    :param stderr: a blob repository for the standard error of the process, linked as "stderr" with
        ``is_output``, or ``STDOUT`` to interleave it with stdout.
    :param ready: a repository of the jobs to launch.
    :param timeout: how long a job may run, as a timedelta or in seconds; then it is terminated,
        and killed ten seconds later.
    :param retries: how often a failed job is retried before its failure is recorded.
    :param concurrency: the maximum number of jobs that run at once.
    :param disabled: whether the pipeline skips this task.
    :param shell: the command line of the interpreter of scripts without a shebang, such as ``sh``,
        ``bash -e`` or ``/usr/bin/zsh``; by default the manager decides.
    :param publish_failed: whether the stdout of failed jobs is published as well; by default only
        if failed jobs of this task start another task (``plug(failed_counts=True)``).
    :param keep_failed: the maximum age of output that is held back, as a timedelta or in seconds;
        older output is removed when the pipeline opens.
    :param quoting: the check for printed values that the shell may interpret as code: those that
        are neither quoted (``| quote``) nor declared as code (``| raw``) nor a plain word
        (``[A-Za-z0-9_./:=@%+,-]+``). "warn" reports the first one, "strict" refuses such jobs with
        a :class:`TemplateError`, "off" disables the check.

    Without ``done``, the outputs of a job inhibit its start, so that stderr is held back like
    stdout.
    """

    event_driven = True

    def _create_collaborators(self) -> None:
        from .launch import Launcher
        from .tracker import ProcessTracker

        self._launcher = Launcher(self)
        self._tracker = ProcessTracker(self)
        self.resource_manager.register(self._usage, window=self.window)

    # -- opening ---------------------------------------------------------------------------------

    def attach(self, runtime: Runtime | None) -> None:
        from .tracker import ProcessTracker

        super().attach(runtime)
        self._open_manager = None
        self._tracker.close()
        self._tracker = ProcessTracker(self)

    async def validate(self) -> None:
        """Check the configuration and the target, and adopt the jobs of an earlier driver.

        :raises TaskConfigurationError: if no job could ever be launched, or a task is plugged with
            ``failed_counts=True`` and ``publish_failed`` is False.
        :raises TemplateError: if the template cannot be read, has a syntax error, or uses a name
            that can never be defined.
        :raises ProcessManagerError: if the target cannot be used.
        """
        if not self.resource_manager.fits(self.job_resources):
            raise TaskConfigurationError(
                f"{self.name}: no job can ever be launched, because one takes {self.job_resources} "
                f"and the quota is {self.resource_manager.quota}"
            )
        if self.failed_counted_by and not self.publishes_failed:
            raise TaskConfigurationError(
                f"{self.name}: publish_failed=False keeps the output of failed jobs from "
                f"{', '.join(self.failed_counted_by)}, which is plugged with failed_counts=True; "
                "remove one of the two arguments"
            )
        await self.template.check()
        if self.is_driver and not self.backend.fits(self.job_resources):
            raise TaskConfigurationError(
                f"{self.name}: no job can ever be launched, because one takes {self.job_resources} "
                "and no machine of its pool has such a quota"
            )
        self.template.require_known(("job", "task"), self.links)
        if self.is_driver:
            await self.load_namespace()
            await self.backend.validate()
            await self._tracker.adopt()

    async def config_warnings(self) -> Iterable[str]:
        names = {"job", "task", *self.links}
        warnings = [
            f"{self.name}: the environment variable {key} contains {value!r}, which is not "
            "rendered, because only the script is a template"
            for key, value in self.environ.items()
            if (plain_names(value) or frozenset()) & names
        ]
        if not self.is_driver or self.shell is not None or self.template.names_interpreter:
            return warnings
        return warnings + [
            f"{backend.host} has no bash, so scripts without a first line `#!` run under `sh -eu`, "
            "where a failing command inside a pipe is not detected; install bash, or choose a "
            'shell with `shell=` (`shell="sh"` keeps this behaviour)'
            for backend in self.backend.hosts
            if backend.is_up and backend.configured_shell is None and await backend.lacks_bash()
        ]

    async def _usage(self) -> Resources:
        """Return the share of the quota that the live jobs take."""
        from pydatatask_core.repository.concurrency import read_many
        from pydatatask_core.resource_manager import Resources
        from pydatatask_core.resource_manager.quantity import EXACT

        from .job import Phase, ProcessJob

        await self.load_namespace()
        await self._tracker.adopt()
        job, window = self.job_resources, self.window.total_seconds()
        if self.is_driver:
            begun = (Phase.RUNNING, Phase.EXITED)
            tracked = [it for it in self._tracker.jobs.values() if it.phase in begun]
            count = self._tracker.quota_count
        else:
            names = await self.pids.keys()
            records, _ = await read_many(self.pids, names)  # a malformed record counts as live
            tracked = [ProcessJob(name) for name in names]
            for one in tracked:
                one.restore(records.get(one.job))
                one.set_age(None)
            count = len(tracked)
        since = time.monotonic() - window
        recent = sum(one.started_at is not None and one.started_at > since for one in tracked)
        return Resources(
            EXACT.multiply(job.cpu, count), EXACT.multiply(job.mem, count), job.launches * recent
        )

    def launch_capacity(self) -> int | None:
        return self.resource_manager.room(self.job_resources)

    async def requested_resources(self, job: str) -> Resources | None:
        return self.job_resources

    # -- rounds ----------------------------------------------------------------------------------

    @property
    def running(self) -> AbstractSet[str]:
        return self._tracker.jobs.keys()

    @property
    def quarantined(self) -> AbstractSet[str]:
        return self._tracker.quarantined.keys()

    async def update(self) -> bool:
        """Record the jobs that have ended, and retry the operations that failed before.

        In a running loop this does not wait for them. Only jobs without an exit notification are
        polled.
        """
        from .job import Phase

        tracker = self._tracker
        await self.load_namespace()
        await tracker.adopt()
        tracked = list(tracker.jobs.values())
        if not tracked:
            return False
        await tracker.poll_unwatched(tracked)
        tracker.record_exited(tracked)
        for one in tracked:
            if one.handle_unsaved and one.phase is Phase.RUNNING:
                await self._launcher.save_handle(one)
        if self.runtime is None:
            await self.launch_due_retries()
        if self.runtime is None or not self.runtime.looping:
            await tracker.wait_recorded()
        return True

    async def launch(self, job: str) -> None:
        """Launch a job; in synchronous mode, wait for its end.

        :raises UnrecordableJobError: if its outcome could not be recorded.
        :raises LaunchRefusedError: if the quota is exhausted, or too many outcomes are unrecorded.
        :raises TaskError: if the job is running already, or has failed without a record of it.
        """
        from .job import Phase, ProcessJob

        tracker = self._tracker
        self.check_recordable(job)
        await self.load_namespace()
        await tracker.adopt()
        tracked = tracker.jobs.get(job)
        if tracked is None:
            if job in tracker.quarantined:
                await tracker.check_not_quarantined(job)
            if job in tracker.unrecorded_failures and self.runtime is not None:
                raise TaskConfigurationError(
                    f"{self.name}: job {job!r} has failed, and there is no record of that, so it "
                    "would be launched forever; it is not launched again before the pipeline is "
                    "reopened. Give the task a `done` repository"
                )
            if not self.is_driver and await self.pids.contains(job):
                raise TaskError(f"{self.name}: job {job!r} is running already, according to pids")
            tracked = tracker.jobs[job] = ProcessJob(job)
        elif tracked.phase is Phase.WAITING:
            tracked.cleanup_failed = tracked.maybe_started = (
                False  # both refer to the previous attempt
            )
            self._waiting.discard(job)
            tracker.set_phase(tracked, Phase.LAUNCHING)
        else:
            raise TaskError(f"{self.name}: job {job!r} is running already")
        await self._start(tracked)
        if self.synchronous and not tracked.finished.is_set():
            await self._run_to_end(tracked)

    async def _start(self, tracked: ProcessJob) -> None:
        from .job import Phase
        from .launch import EndedElsewhereError

        tracker = self._tracker
        try:
            if tracker.pending_records >= MAX_PENDING_RECORDS:
                raise LaunchRefusedError(self.name, tracked.job, "unrecorded job outcomes")
            await self._launcher.launch(tracked, tracker)
        except EndedElsewhereError:
            return await self._forget_killed(tracked)
        except LaunchRefusedError:
            if tracked.has_record:
                tracker.set_phase(tracked, Phase.WAITING)
                self._waiting.add(tracked.job)
            else:
                tracker.untrack(tracked)
            raise
        except BaseException:
            if tracked.maybe_started:
                tracker.watch(tracked)
            elif tracked.has_record or tracked.cleanup_failed:
                tracker.schedule_retry(tracked, tracked.next_delay(1.0))
            else:
                tracker.untrack(tracked)
            raise
        tracker.watch(tracked)

    async def _forget_killed(self, tracked: ProcessJob) -> None:
        """Stop tracking a job that another process killed or removed while it waited."""
        record = None if self.done is None else await self.done.info(tracked.job)
        is_recorded = isinstance(record, dict) and record.get("success") is False
        await self._tracker.complete(tracked, record if is_recorded else None)

    def note_missing(self, jobs: AbstractSet[str]) -> None:
        from .job import Phase

        for job in jobs:
            tracked = self._tracker.jobs.get(job)
            waits = tracked is not None and tracked.phase is Phase.WAITING
            if (
                tracked is not None
                and waits
                and tracked.retry_at is not None
                and job in self.retry_timers
            ):
                self.retry_timers[job].cancel()
                if job not in self.due_retries:
                    self.due_retries.append(job)  # the launch detects that it was killed

    async def _run_to_end(self, tracked: ProcessJob) -> None:
        """Wait until a job is finished, and do the work that a pipeline would do otherwise."""
        from .job import Phase

        while not tracked.finished.is_set():
            await self._tracker.poll_unwatched([tracked])
            self._tracker.record_exited([tracked])
            if tracked.phase is Phase.WAITING and time.monotonic() >= tracked.not_before:
                with contextlib.suppress(LaunchRefusedError):
                    return await self.launch(tracked.job)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(tracked.finished.wait(), _POLL_INTERVAL_SECONDS)

    async def kill(self, job: str, *, grace: float | None = None) -> bool:
        """Terminate a live job, and kill all processes of its group if it does not exit.

        If this process drives the task, this returns when the outcome is recorded, as ``killed``;
        otherwise when the process has exited, and the driver records it, now or when one starts. A
        job that waits for a retry is recorded at once, and its driver does not launch it.

        :param job: the job.
        :param grace: the seconds after which it is killed; ten by default.
        :return: whether the job was live.
        :raises ForeignRecordError: if its record names anything that does not belong to the job.
        """
        from .job import Phase
        from .outcome import KILLED
        from .termination import GRACE_SECONDS, terminate, terminate_foreign

        grace = GRACE_SECONDS if grace is None else grace
        await self.load_namespace()
        await self._tracker.adopt()
        tracked = self._tracker.jobs.get(job)
        if tracked is None:
            await self._tracker.check_not_quarantined(job)
            return not self.is_driver and await terminate_foreign(
                self, self._tracker, job, KILLED, grace
            )
        tracked.is_final_attempt = True
        while not tracked.finished.is_set():
            if tracked.phase is Phase.WAITING:
                self.cancel_retry(job)
                tracked.cancelled, tracked.not_before = True, 0.0
                self._tracker.set_phase(tracked, Phase.EXITED)
            elif tracked.phase is not Phase.EXITED:
                await terminate(self, self._tracker, tracked, KILLED, grace)
            self._tracker.record_exited([tracked])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(tracked.finished.wait(), _POLL_INTERVAL_SECONDS)
        return True
