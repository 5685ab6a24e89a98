"""Scripts that run as processes, here or wherever their manager has them run."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import (
    LaunchRefusedError,
    TaskConfigurationError,
    TaskError,
)
from pydatatask_core.proc_manager.base import STDOUT, AbstractProcessManager
from pydatatask_core.proc_manager.run import Run
from pydatatask_core.proc_manager.supervisor import STDERR, STDOUT_FILE, safe_name
from pydatatask_core.resource_manager import ResourceManager, Resources
from pydatatask_core.resource_manager.quantity import EXACT

from ._process.jobs import Jobs
from ._process.launching import Launcher
from ._process.live import LiveJob, Phase
from ._process.outcome import KILLED
from ._process.stopping import GRACE, stop, stop_foreign
from .base import Task
from .template import Template

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from pydatatask_core.proc_manager.base import _StderrIsStdout
    from pydatatask_core.proc_manager.runs import Runs
    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.blob import BlobRepository
    from pydatatask_core.repository.metadata import MetadataRepository

    from .retry import Retries
    from .runtime import Runtime

__all__ = ["ProcessTask"]

log = logging.getLogger("pydatatask.task")

MOST_UNRECORDED = 64
"""While the ends of as many jobs are not recorded, nothing is launched."""


class ProcessTask(Task):
    """A task that runs a script.

    The interpreter is specified by the shebang, or the default shell if none present. The
    execution environment for the task is defined by the process manager.

    A script ends well with exit status 0. What is in ``done``, and how a job goes on after any
    crash, is told by ``pydatatask_core.task._process`` and ``pydatatask_core.proc_manager``.

    :param name: the name of this task.
    :param manager: a callable returning the process manager with control over the target
        execution environment.
    :param resource_manager: a quota. Jobs launched will contribute to it and be denied if they
        would break it.
    :param job_resources: the amount of resources an individual job should contribute to the
        quota. This is not enforced target-side.
    :param pids: a metadata repository used to store the current live-status of processes. Linked
        as "pids" with ``is_status``, ``inhibits_start``, ``inhibits_output``.
    :param template: the Jinja2 template of a script to run, as a string or a path to a file. It
        may name ``job``, ``task`` and every link, which gives what its repository says about the
        job; ``{{ x | quote }}`` makes one word of a shell.
    :param window: how recently a process must have been launched in order to contribute to the
        process rate-limiting.
    :param environ: additional environment variables to set on the target machine.
    :param done: a metadata repository in which to dump how each job ended. Linked as "done" with
        ``is_status``, ``inhibits_start``, ``required_for_output``. It holds ``success``,
        ``return_code``, ``start_time``, ``end_time``, ``duration`` (seconds), ``attempt``,
        ``host`` and ``handle``; of a failure also ``reason``, the end of its stderr
        (``stderr_tail``, or ``stdout_tail`` where they are interleaved), and ``signal``,
        ``lost``, ``timed_out`` or ``killed`` where that applies.
    :param stdin: a blob repository from which to source the process' standard input, preloaded
        to the target. Linked as "stdin" with ``is_input``.
    :param stdout: a blob repository into which to dump the process' standard output on
        completion. Linked as "stdout" with ``is_output``.
    :param stderr: a blob repository into which to dump the process' standard error, linked as
        "stderr" with ``is_output``, or ``STDOUT`` to interleave it with stdout.
    :param ready: a repository from which to read task-ready status.
    :param timeout: how long a job may run, as a timedelta or in seconds; then it is asked to end,
        and killed ten seconds later.
    :param retries: how often a failed job is tried again before its failure is recorded.
    :param concurrency: how many jobs may run at once.
    :param disabled: whether the pipeline leaves this task alone.

    Without ``done``, its outputs inhibit the start of a job; those of a job that failed are kept
    back on the target, since nothing else would keep them from starting what comes next.
    """

    event_driven = True

    def __init__(
        self,
        name: str,
        manager: Callable[[], AbstractProcessManager],
        resource_manager: ResourceManager,
        job_resources: Resources,
        pids: MetadataRepository,
        template: str | os.PathLike[str],
        window: timedelta = timedelta(seconds=60),
        environ: Mapping[str, str] | None = None,
        done: MetadataRepository | None = None,
        stdin: BlobRepository | None = None,
        stdout: BlobRepository | None = None,
        stderr: BlobRepository | _StderrIsStdout | None = None,
        ready: Repository | None = None,
        *,
        timeout: timedelta | float | None = None,
        retries: int | Retries = 0,
        concurrency: int | None = None,
        disabled: bool = False,
    ) -> None:
        super().__init__(name, ready, disabled, retries=retries, concurrency=concurrency)
        self._check(manager, resource_manager, job_resources)
        self._manager = manager
        self._open_manager: AbstractProcessManager | None = None
        self.resource_manager = resource_manager
        self.job_resources = job_resources
        self.template = Template(template, name)
        self.window = window
        self.environ = _checked_environ(name, environ)
        self.timeout = _seconds(name, timeout)
        self.pids = pids
        self.done = done
        self.stdin = stdin
        self.stdout = stdout
        self.interleaves = stderr is STDOUT
        self._stderr: Any = None if self.interleaves else stderr
        self._link_all()
        resource_manager.register(self._usage, window=window)
        self._home = ""
        self._launcher = Launcher(self)
        self._jobs = Jobs(self)

    def _check(self, manager: object, quota: object, resources: object) -> None:
        if not callable(manager):
            raise TaskConfigurationError(
                f"{self.name}: manager has to be a callable that gives a process manager, such as "
                f"`lambda: {manager!r}`, not {manager!r} itself"
            )
        if not isinstance(quota, ResourceManager) or not isinstance(resources, Resources):
            raise TaskConfigurationError(
                f"{self.name}: resource_manager has to be a ResourceManager and job_resources "
                f"Resources, not {quota!r} and {resources!r}"
            )

    def _link_all(self) -> None:
        self.link("pids", self.pids, is_status=True, inhibits_start=True, inhibits_output=True)
        if self.done is not None:
            self.link_outcomes("done", self.done)
        if self.stdin is not None:
            self.link("stdin", self.stdin, is_input=True)
        alone = self.done is None
        if self.stdout is not None:
            self.link("stdout", self.stdout, is_output=True, inhibits_start=alone)
        if self._stderr is not None:
            self.link("stderr", self._stderr, is_output=True, inhibits_start=alone)

    # -- what follows from the configuration -----------------------------------------------------

    @property
    def manager(self) -> AbstractProcessManager:
        """The process manager for this task.

        :raises SessionError: if the manager comes from a session which is closed.
        """
        if self._open_manager is not None:
            return self._open_manager
        manager = self._manager()
        if not isinstance(manager, AbstractProcessManager):
            raise TaskConfigurationError(
                f"{self.name}: its manager, {self._manager!r}, gave {manager!r}, which is no "
                "process manager"
            )
        if self.runtime is not None:  # its session is open as long as it is
            self._open_manager = manager
        return manager

    @property
    def runs(self) -> Runs:
        """What the manager launches jobs by."""
        return self.manager.runs

    @property
    def stderr(self) -> BlobRepository | None:
        """The repository into which stderr will be dumped, or None if it goes to the null device.

        Without one, but with ``done``, the end of it is kept there.
        """
        return self.stdout if self.interleaves else self._stderr

    @property
    def basedir(self) -> Path:
        """The path in the target environment that is used to store information about this task."""
        return self.manager.basedir / self.name

    @property
    def quotas(self) -> tuple[ResourceManager, ...]:
        return (self.resource_manager,)

    @property
    def drives(self) -> bool:
        """Whether it is for this process to look after all jobs of the task."""
        return self.runtime is None or self.runtime.mode == "drive"

    def plan_streams(self) -> tuple[bool, bool | _StderrIsStdout]:
        """Tell whether stdout and stderr are kept on the target while a job runs."""
        stdout = self.stdout is not None or (self.interleaves and self.done is not None)
        if self.interleaves:
            return stdout, STDOUT if stdout else False
        return stdout, self._stderr is not None or self.done is not None

    @property
    def kept_streams(self) -> list[str]:
        """The names of the streams that are kept on the target while a job runs."""
        stdout, stderr = self.plan_streams()
        return [STDOUT_FILE] * stdout + [STDERR] * (stderr is True)

    @property
    def published(self) -> dict[str, BlobRepository]:
        """Where which of the streams goes in the end."""
        targets = {STDOUT_FILE: self.stdout, STDERR: self._stderr}
        return {name: repo for name, repo in targets.items() if repo is not None}

    def place(self, kind: str, job: str | None = None) -> Path:
        """Give the folder on the target for one kind of thing, or a job's entry in it.

        Two pipelines that only happen to have tasks of one name do not meet there.

        :param kind: which kind.
        :param job: the job.
        """
        folder = self.basedir / self._home / kind
        return folder if job is None else folder / safe_name(job)

    def new_run(self, job: str) -> Run:
        """Give the run that a job is to have.

        :param job: the job.
        """
        runs = self.runs
        directory = self.place("runs", job)
        if not runs.exclusive:
            directory = directory.with_name(f"{directory.name}.{secrets.token_hex(8)}")
        memo = None if self.done is None else self.place("attempts", job)
        return Run(directory, runs.host, memo=memo)

    # -- opening ---------------------------------------------------------------------------------

    def attach(self, runtime: Runtime | None) -> None:
        super().attach(runtime)
        self._open_manager = None
        self._jobs.close()
        self._jobs = Jobs(self)

    async def validate(self) -> None:
        """Check the configuration and the target, and find what an earlier driver left behind.

        :raises TaskConfigurationError: if no job could ever be launched.
        :raises TemplateError: if the template cannot be read or is not well-formed.
        :raises ProcessManagerError: if the target will not do.
        """
        if not self.resource_manager.fits(self.job_resources):
            raise TaskConfigurationError(
                f"{self.name}: no job can ever be launched, since one takes {self.job_resources} "
                f"and the quota is {self.resource_manager.quota}"
            )
        await self.template.load()
        unknown = self.template.names - self.links.keys() - {"job", "task"}
        if unknown:
            log.warning(
                "%s: %s names %s, which is neither `job`, `task` nor a link; there are the links "
                "%s",
                *(self.name, self.template.place, sorted(unknown), sorted(self.links)),
                extra={"task": self.name},
            )
        if self.drives:
            await self._find_home()
            await self.runs.validate()
            await self._jobs.adopt()

    async def _find_home(self) -> None:
        if not self._home:
            identity = await asyncio.to_thread(lambda: self.pids.identity)
            self._home = hashlib.sha256((identity or "").encode()).hexdigest()[:12]

    async def _usage(self) -> Resources:
        """Tell what the live jobs take of the quota."""
        await self._find_home()
        await self._jobs.adopt()
        job, since = self.job_resources, datetime.now(UTC) - self.window
        if self.drives:
            begun = (Phase.RUNNING, Phase.ENDED)
            starts = [it.start_time for it in self._jobs.live.values() if it.phase in begun]
            count = self._jobs.counted
        else:
            records = await self.pids.info_all()
            live = [LiveJob(name) for name in records]
            for one in live:
                one.restore(records[one.job])
            starts, count = [one.start_time for one in live], len(live)
        recent = sum(start > since for start in starts)
        return Resources(
            EXACT.multiply(job.cpu, count), EXACT.multiply(job.mem, count), job.launches * recent
        )

    # -- rounds ----------------------------------------------------------------------------------

    @property
    def running(self) -> AbstractSet[str]:
        return self._jobs.live.keys()

    async def update(self) -> bool:
        """Reap what has ended, and go on with what could not be done before.

        Beside a running loop this waits for none of it. It only asks for those jobs of whose end
        nobody tells.
        """
        jobs = self._jobs
        await self._find_home()
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
            while self.due:
                await self.launch(self.due.popleft())
        if self.runtime is None or not self.runtime.looping:
            await jobs.settle()
        return True

    async def launch(self, job: str) -> None:
        """Launch a job; in synchronous mode, to its end.

        :raises LaunchRefusedError: if the quota has no room, or too many ends are not recorded.
        :raises TaskError: if the job is running already, or failed and nothing records that.
        """
        jobs = self._jobs
        await self._find_home()
        await jobs.adopt()
        live = jobs.live.get(job)
        if live is None:
            self.pids.check_job_id(job)
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
            live.left_traces = False
            self._waiting.discard(job)
            jobs.enter(live, Phase.LAUNCHING)
        else:
            raise TaskError(f"{self.name}: job {job!r} is running already")
        await self._begin(live)
        if self.synchronous:
            await self._complete(live)

    async def _begin(self, live: LiveJob) -> None:
        jobs = self._jobs
        try:
            if jobs.unrecorded >= MOST_UNRECORDED:
                raise LaunchRefusedError(self.name, live.job, "recording ends of jobs")
            await self._launcher.launch(live, jobs)
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

    async def _complete(self, live: LiveJob) -> None:
        """Wait until a job is over, and do what otherwise a pipeline would."""
        while not live.over.is_set():
            await self._jobs.look_after([live])
            self._jobs.attend([live])
            if live.phase is Phase.WAITING and time.monotonic() >= live.not_before:
                with contextlib.suppress(LaunchRefusedError):
                    return await self.launch(live.job)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(live.over.wait(), _LOOK_AGAIN)

    async def kill(self, job: str, *, grace: float = GRACE) -> bool:
        """End a job that is live: ask it to, and kill it with all processes of its group if not.

        If this process drives the task, this returns when the end is recorded, as ``killed``; else
        when the process is gone, and the driver records it, now or when there is one.

        :param job: the job.
        :param grace: after how many seconds it is killed.
        :return: whether there was anything to end.
        """
        await self._find_home()
        await self._jobs.adopt()
        live = self._jobs.live.get(job)
        if live is None:
            return not self.drives and await stop_foreign(self, job, KILLED, grace)
        if live.phase is Phase.WAITING:
            self._waiting.discard(job)
            live.cancelled, live.not_before = True, 0.0
            self._jobs.enter(live, Phase.ENDED)
        await stop(self, self._jobs, live, KILLED, grace)
        while not live.over.is_set():
            self._jobs.attend([live])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(live.over.wait(), _LOOK_AGAIN)
        return True


_LOOK_AGAIN = 0.05


def _checked_environ(name: str, environ: Mapping[str, str] | None) -> dict[str, str]:
    checked = dict(environ or {})
    for key, value in checked.items():
        if not isinstance(key, str) or not key or "=" in key or "\0" in key:
            raise TaskConfigurationError(f"{name}: {key!r} cannot be an environment variable")
        if not isinstance(value, str) or "\0" in value:
            raise TaskConfigurationError(
                f"{name}: the environment variable {key} has to be a string, not {value!r}"
            )
    return checked


def _seconds(name: str, timeout: timedelta | float | None) -> float | None:
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if seconds is not None and (isinstance(seconds, bool) or not seconds > 0):
        raise TaskConfigurationError(f"{name}: timeout has to be a time above 0, not {timeout!r}")
    return seconds
