"""Scripts that run as processes, here or wherever their manager has them run.

To name the class costs little: what it takes to run something is imported when one is made.
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

from ._process.setting import ProcessSetting
from .template import plain_names

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from pydatatask_core.resource_manager import Resources

    from ._process.live import LiveJob
    from .runtime import Runtime

__all__ = ["ProcessTask"]

_LOOK_AGAIN = 0.05

MOST_UNRECORDED = 64
"""While the ends of as many jobs are not recorded, nothing is launched."""


class ProcessTask(ProcessSetting):
    """A task that runs a script.

    The interpreter is specified by the shebang. Without one it is ``bash -euo pipefail``, so that a
    command that fails, also inside a pipe, ends the script, or ``sh -eu`` where there is no bash.
    The execution environment for the task is defined by the process manager.

    A script ends well with exit status 0; its job has failed all the same if an output that is not
    optional is not written then. What is in ``done``, and how a job goes on after any
    crash, is told by ``pydatatask_core.task._process`` and ``pydatatask_core.proc_manager``.

    :param name: the name of this task.
    :param manager: a callable returning the process manager with control over the target
        execution environment, or a :class:`ManagerPool` of several.
    :param resource_manager: a quota. Jobs launched will contribute to it and be denied if they
        would break it.
    :param job_resources: the amount of resources an individual job should contribute to the
        quota. This is not enforced target-side.
    :param pids: a metadata repository used to store the current live-status of processes. Linked
        as "pids" with ``is_status``, ``inhibits_start``, ``inhibits_output``.
    :param template: the Jinja2 template of a script to run, as a string or a path to a file; or a
        :class:`Template`, which can have other delimiters. It may name ``job``, ``task`` and every
        link, which gives what its repository says about the job; ``{{ x | quote }}`` makes one
        word of a shell. A byte order mark, and blank lines and indentation before ``#!``, are
        removed.
    :param window: how recently (a timedelta, or seconds) a process must have been launched in
        order to contribute to the process rate-limiting.
    :param environ: additional environment variables to set on the target machine.
    :param done: a metadata repository in which to dump how each job ended. Linked as "done" with
        ``is_status``, ``inhibits_start``, ``required_for_output``. It holds ``success``,
        ``return_code``, ``start_time``, ``end_time``, ``duration`` (seconds), ``attempt``,
        ``host`` and ``handle``; of a failure also ``reason``, and ``signal``, ``lost``,
        ``timed_out``, ``killed`` or ``missing_outputs`` where that applies. ``stderr_tail`` is the
        last 4 KiB of its stderr (``stdout_tail`` where they are interleaved), of a failure always,
        of a success where it is not published; ``stdout_tail`` the last 64 KiB of a stdout that
        is held back.
    :param stdin: a blob repository from which to source the process' standard input, preloaded
        to the target. Linked as "stdin" with ``is_input``.
    :param stdout: a blob repository into which to dump the process' standard output on
        completion. Linked as "stdout" with ``is_output``. That of a failed job is not data: it is
        held back on the target, in a directory ``failed/JOB`` below :attr:`basedir`, until the job
        succeeds, is retried or deleted.
    :param stderr: a blob repository into which to dump the process' standard error, linked as
        "stderr" with ``is_output``, or ``STDOUT`` to interleave it with stdout.
    :param ready: a repository from which to read task-ready status.
    :param timeout: how long a job may run, as a timedelta or in seconds; then it is asked to end,
        and killed ten seconds later.
    :param retries: how often a failed job is tried again before its failure is recorded.
    :param concurrency: how many jobs may run at once.
    :param disabled: whether the pipeline leaves this task alone.
    :param shell: the command line of the interpreter of scripts without a shebang, such as ``sh``,
        ``bash -e`` or ``/usr/bin/zsh``; by default the manager decides.
    :param publish_failed: whether the stdout of failed jobs is published as well; by default only
        if another task is started by failed jobs of this one (``plug(failed_counts=True)``).
    :param keep_failed: how old output that is held back may become, as a timedelta or in seconds;
        what is older is removed when the pipeline opens.
    :param quoting: the check of values that the template prints and that the shell may take for
        code: neither quoted (``| quote``) nor meant as they are (``| raw``) nor a plain word
        (``[A-Za-z0-9_./:=@%+,-]+``). "warn" reports the first one, "strict" refuses such jobs with
        a :class:`TemplateError`, "off" checks nothing.

    Without ``done``, its outputs inhibit the start of a job, so that stderr is held back as stdout
    is.
    """

    event_driven = True

    def _prepare(self) -> None:
        from ._process.jobs import Jobs
        from ._process.launching import Launcher

        self._launcher = Launcher(self)
        self._jobs = Jobs(self)
        self.resource_manager.register(self._usage, window=self.window)

    # -- opening ---------------------------------------------------------------------------------

    def attach(self, runtime: Runtime | None) -> None:
        from ._process.jobs import Jobs

        super().attach(runtime)
        self._open_manager = None
        self._jobs.close()
        self._jobs = Jobs(self)

    async def validate(self) -> None:
        """Check the configuration and the target, and find what an earlier driver left behind.

        :raises TaskConfigurationError: if no job could ever be launched, or a task is plugged with
            ``failed_counts=True`` and ``publish_failed`` is False.
        :raises TemplateError: if the template cannot be read, is not well-formed, or uses a name
            that can never be defined.
        :raises ProcessManagerError: if the target will not do.
        """
        if not self.resource_manager.fits(self.job_resources):
            raise TaskConfigurationError(
                f"{self.name}: no job can ever be launched, since one takes {self.job_resources} "
                f"and the quota is {self.resource_manager.quota}"
            )
        if self.failed_counted_by and not self.publishes_failed:
            raise TaskConfigurationError(
                f"{self.name}: publish_failed=False keeps the output of failed jobs from "
                f"{', '.join(self.failed_counted_by)}, which is plugged with failed_counts=True; "
                "leave one of them out"
            )
        await self.template.check()
        if self.drives and not self.runs.fits(self.job_resources):
            raise TaskConfigurationError(
                f"{self.name}: no job can ever be launched, since one takes {self.job_resources} "
                "and no machine of its pool has a quota of that much"
            )
        self.template.require_known(("job", "task"), self.links)
        if self.drives:
            await self.find_home()
            await self.runs.validate()
            await self._jobs.adopt()

    async def oddities(self) -> Iterable[str]:
        names = {"job", "task", *self.links}
        told = [
            f"{self.name}: the environment variable {key} contains {value!r}, in which nothing is "
            "filled in, since only the script is a template"
            for key, value in self.environ.items()
            if (plain_names(value) or frozenset()) & names
        ]
        if not self.drives or self.shell is not None or self.template.names_interpreter:
            return told
        return told + [
            f"{runs.host} has no bash, so scripts without a first line `#!` run under `sh -eu`, "
            "where a failing command inside a pipe is not noticed; install bash, or choose a shell "
            'by `shell=` (`shell="sh"` runs them as before)'
            for runs in self.runs.parts
            if runs.is_up and runs.chosen_shell is None and await runs.lacks_bash()
        ]

    async def _usage(self) -> Resources:
        """Tell what the live jobs take of the quota."""
        from pydatatask_core.repository.concurrency import read_many
        from pydatatask_core.resource_manager import Resources
        from pydatatask_core.resource_manager.quantity import EXACT

        from ._process.live import LiveJob, Phase

        await self.find_home()
        await self._jobs.adopt()
        job, window = self.job_resources, self.window.total_seconds()
        if self.drives:
            begun = (Phase.RUNNING, Phase.ENDED)
            live = [it for it in self._jobs.live.values() if it.phase in begun]
            count = self._jobs.counted
        else:
            names = await self.pids.keys()
            records, _ = await read_many(self.pids, names)  # one that is malformed counts as live
            live = [LiveJob(name) for name in names]
            for one in live:
                one.restore(records.get(one.job))
                one.set_age(None)
            count = len(live)
        since = time.monotonic() - window
        recent = sum(one.began is not None and one.began > since for one in live)
        return Resources(
            EXACT.multiply(job.cpu, count), EXACT.multiply(job.mem, count), job.launches * recent
        )

    def room_for_launches(self) -> int | None:
        return self.resource_manager.room(self.job_resources)

    async def demand(self, job: str) -> Resources | None:
        return self.job_resources

    # -- rounds ----------------------------------------------------------------------------------

    @property
    def running(self) -> AbstractSet[str]:
        return self._jobs.live.keys()

    @property
    def held(self) -> AbstractSet[str]:
        return self._jobs.held.keys()

    async def update(self) -> bool:
        """Reap what has ended, and go on with what could not be done before.

        Beside a running loop this waits for none of it. It only asks for those jobs of whose end
        nobody tells.
        """
        from ._process.live import Phase

        jobs = self._jobs
        await self.find_home()
        await jobs.adopt()
        live = list(jobs.live.values())
        if not live:
            return False
        await jobs.look_after(live)
        jobs.attend(live)
        for one in live:
            if one.unnoted and one.phase is Phase.RUNNING:
                await self._launcher.note_handle(one)
        if self.runtime is None:
            await self.launch_due()
        if self.runtime is None or not self.runtime.looping:
            await jobs.settle()
        return True

    async def launch(self, job: str) -> None:
        """Launch a job; in synchronous mode, to its end.

        :raises UnrecordableJobError: if its end could not be recorded.
        :raises LaunchRefusedError: if the quota has no room, or too many ends are not recorded.
        :raises TaskError: if the job is running already, or failed and nothing records that.
        """
        from ._process.live import LiveJob, Phase

        jobs = self._jobs
        self.check_recordable(job)
        await self.find_home()
        await jobs.adopt()
        live = jobs.live.get(job)
        if live is None:
            if job in jobs.held:
                await jobs.check_not_held(job)
            if job in jobs.unmarked and self.runtime is not None:
                raise TaskConfigurationError(
                    f"{self.name}: job {job!r} has failed, and nothing records that, so it would "
                    "be launched for ever; it is not launched again before the pipeline is opened "
                    "anew. Give the task a `done` repository"
                )
            if not self.drives and await self.pids.contains(job):
                raise TaskError(f"{self.name}: job {job!r} is running already, as pids says")
            live = jobs.live[job] = LiveJob(job)
        elif live.phase is Phase.WAITING:
            live.left_traces = live.may_live = False  # that was said of the attempt before
            self._waiting.discard(job)
            jobs.enter(live, Phase.LAUNCHING)
        else:
            raise TaskError(f"{self.name}: job {job!r} is running already")
        await self._begin(live)
        if self.synchronous and not live.over.is_set():
            await self._complete(live)

    async def _begin(self, live: LiveJob) -> None:
        from ._process.launching import EndedElsewhereError
        from ._process.live import Phase

        jobs = self._jobs
        try:
            if jobs.unrecorded >= MOST_UNRECORDED:
                raise LaunchRefusedError(self.name, live.job, "recording ends of jobs")
            await self._launcher.launch(live, jobs)
        except EndedElsewhereError:
            return await self._ended_elsewhere(live)
        except LaunchRefusedError:
            if live.again:
                jobs.enter(live, Phase.WAITING)
                self._waiting.add(live.job)
            else:
                jobs.drop(live)
            raise
        except BaseException:
            if live.may_live:
                jobs.run_on(live)
            elif live.again or live.left_traces:
                jobs.wait_again(live, live.wait(1.0))
            else:
                jobs.drop(live)
            raise
        jobs.run_on(live)

    async def _ended_elsewhere(self, live: LiveJob) -> None:
        """Forget a job that another process killed, or removed, while it waited."""
        record = None if self.done is None else await self.done.info(live.job)
        told = isinstance(record, dict) and record.get("success") is False
        await self._jobs.finished(live, record if told else None)

    def note_missing(self, jobs: AbstractSet[str]) -> None:
        from ._process.live import Phase

        for job in jobs:
            live = self._jobs.live.get(job)
            waits = live is not None and live.phase is Phase.WAITING
            if live is not None and waits and live.waiting_for is not None and job in self.timers:
                self.timers[job].cancel()
                if job not in self.due:
                    self.due.append(job)  # the launch finds out that it was killed

    async def _complete(self, live: LiveJob) -> None:
        """Wait until a job is over, and do what otherwise a pipeline would."""
        from ._process.live import Phase

        while not live.over.is_set():
            await self._jobs.look_after([live])
            self._jobs.attend([live])
            if live.phase is Phase.WAITING and time.monotonic() >= live.not_before:
                with contextlib.suppress(LaunchRefusedError):
                    return await self.launch(live.job)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(live.over.wait(), _LOOK_AGAIN)

    async def kill(self, job: str, *, grace: float | None = None) -> bool:
        """End a job that is live: ask it to, and kill it with all processes of its group if not.

        If this process drives the task, this returns when the end is recorded, as ``killed``; else
        when the process is gone, and the driver records it, now or when there is one. One that
        waits for another attempt is recorded at once, and its driver does not launch it.

        :param job: the job.
        :param grace: after how many seconds it is killed; ten by default.
        :return: whether there was anything to end.
        :raises ForeignRecordError: if its record names anything that does not belong to the job.
        """
        from ._process.live import Phase
        from ._process.outcome import KILLED
        from ._process.stopping import GRACE, stop, stop_foreign

        grace = GRACE if grace is None else grace
        await self.find_home()
        await self._jobs.adopt()
        live = self._jobs.live.get(job)
        if live is None:
            await self._jobs.check_not_held(job)
            return not self.drives and await stop_foreign(self, self._jobs, job, KILLED, grace)
        live.is_last = True
        while not live.over.is_set():
            if live.phase is Phase.WAITING:
                self._waiting.discard(job)
                live.cancelled, live.not_before = True, 0.0
                self._jobs.enter(live, Phase.ENDED)
            elif live.phase is not Phase.ENDED:
                await stop(self, self._jobs, live, KILLED, grace)
            self._jobs.attend([live])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(live.over.wait(), _LOOK_AGAIN)
        return True
