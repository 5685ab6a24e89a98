"""Scripts that run as processes, on this machine or on the target of a process manager.

Importing the class is cheap: the modules needed to run jobs are imported when a task is created.
"""

from __future__ import annotations

import time
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING

from pydatatask_core.errors import TaskConfigurationError
from pydatatask_core.proc_manager.base import AbstractProcessManager
from pydatatask_core.proc_manager.protocol.run_directory import STDERR
from pydatatask_core.task.detached.task import DetachedTask
from pydatatask_core.task.durations import checked_quoting, parse_seconds
from pydatatask_core.task.template import TaskTemplate, plain_names

from .config import check_environ, check_flag, check_manager, check_resources, parsed_shell
from .runs import RunDirectories
from .streams import Streams

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from pydatatask_core.proc_manager.backend import ProcessBackend
    from pydatatask_core.proc_manager.base import _StderrIsStdout
    from pydatatask_core.proc_manager.pool import ManagerPool
    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.blob import BlobRepository
    from pydatatask_core.repository.metadata import MetadataRepository
    from pydatatask_core.resource_manager import ResourceManager, Resources
    from pydatatask_core.task.retries import Retries
    from pydatatask_core.task.template import Quoting, Template
    from pydatatask_core.utils import AReadStream

    from .job import ProcessJob
    from .launch import Launcher
    from .tracker import ProcessTracker

__all__ = ["ProcessTask"]


class ProcessTask(DetachedTask["ProcessJob"]):
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
        ``host`` and ``handle``; on the local machine also ``user_time`` and ``system_time`` (CPU
        seconds), ``peak_memory`` (bytes of the largest process), and ``ended_processes``, the
        number of processes that the script left behind and that were ended. After a failure it
        also holds ``reason``, and ``signal``, ``lost``, ``timed_out``, ``killed`` or
        ``missing_outputs`` if that applies. ``stderr_tail`` is the
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
    :param detach: whether processes that a script leaves behind may go on after its end. By
        default, a job on the local machine is over when all processes of its session are: they have
        ten seconds after the end of the script, are then asked to exit, and killed ten seconds
        later. A process that has called ``setsid`` is in another session.

    Without ``done``, the outputs of a job inhibit its start, so that stderr is held back like
    stdout.
    """

    _tracker: ProcessTracker
    _launcher: Launcher
    _backend: ProcessBackend | None = None

    def __init__(
        self,
        name: str,
        manager: Callable[[], AbstractProcessManager | ManagerPool],
        resource_manager: ResourceManager,
        job_resources: Resources,
        pids: MetadataRepository,
        template: str | os.PathLike[str] | Template,
        window: timedelta | float = timedelta(seconds=60),
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
        shell: str | None = None,
        publish_failed: bool | None = None,
        keep_failed: timedelta | float = timedelta(days=30),
        quoting: Quoting = "warn",
        detach: bool = False,
    ) -> None:
        super().__init__(
            name,
            ready,
            disabled,
            quota=resource_manager,
            window=window,
            done=done,
            retries=retries,
            concurrency=concurrency,
        )
        check_resources(name, manager, resource_manager, job_resources)
        self._manager = manager
        self.resource_manager, self.job_resources = resource_manager, job_resources
        self.template = TaskTemplate(template, name, checked_quoting(name, quoting))
        self.environ = check_environ(name, environ)
        self.timeout = parse_seconds(name, "timeout", timeout)
        self.shell = parsed_shell(name, shell)
        self.detach = check_flag(name, "detach", detach)
        self.keep_failed = parse_seconds(name, "keep_failed", keep_failed) or 0.0
        self.pids, self.stdin, self.stdout = pids, stdin, stdout
        self.streams = Streams(self, stdout, stderr, publish_failed)
        self.runs = RunDirectories(self)
        self._link_all()
        self._start_tracking()

    def _link_all(self) -> None:
        self.link("pids", self.pids, is_status=True, inhibits_start=True, inhibits_output=True)
        if self.done is not None:
            self.link_outcomes("done", self.done)
        if self.stdin is not None:
            self.link_blobs("stdin", self.stdin, is_input=True)
        alone = self.done is None
        for name, repo in self.streams.published.items():
            self.link_blobs(name.removeprefix("."), repo, is_output=True, inhibits_start=alone)

    # -- the target ------------------------------------------------------------------------------

    @property
    def manager(self) -> AbstractProcessManager:
        """The process manager for this task.

        :raises SessionError: if the manager comes from a session that is closed.
        """
        manager = check_manager(self.name, self._manager)
        if isinstance(manager, AbstractProcessManager):
            return manager
        raise TaskConfigurationError(
            f"{self.name}: its jobs run on several machines, each with its own manager; use "
            "`backend`"
        )

    @property
    def backend(self) -> ProcessBackend:
        """The backend that the manager launches jobs with."""
        if self._backend is not None:
            return self._backend
        backend = check_manager(self.name, self._manager).backend
        if self.runtime is not None:  # its session stays open at least as long
            self._backend, self.is_connected = backend, True
        return backend

    def _forget_connection(self) -> None:
        self._backend = None
        self.runs.forget_folders()

    @property
    def basedir(self) -> Path:
        """The directory for this task in the target environment."""
        return self.backend.basedir() / self.name

    @property
    def uses_default_shell(self) -> bool:
        """True if scripts run in the default interpreter, unless a template prints a shebang."""
        chosen = self.shell or next((host.configured_shell for host in self.backend.hosts), None)
        return chosen is None and not self.template.names_interpreter

    # -- output ----------------------------------------------------------------------------------

    @property
    def stderr(self) -> BlobRepository | None:
        """The repository for stderr, or None if it goes to the null device.

        Without one, but with ``done``, the end of stderr is stored in ``done``.
        """
        return self.stdout if self.streams.interleaves else self.streams.published.get(STDERR)

    @property
    def log_repositories(self) -> Sequence[BlobRepository]:
        return list(self.streams.published.values())

    async def open_logs(self, job: str) -> AsyncGenerator[tuple[str, AReadStream], None]:
        from .output_archive import open_logs

        await self.runs.load_namespace()
        async with aclosing(open_logs(self, job)) as streams:
            async for stream in streams:
                yield stream

    def stream_logs(self, job: str, *, follow: bool = False) -> AsyncGenerator[bytes, None]:
        from .logs import read_streams

        return read_streams(self, job, follow)

    async def clean_up(self, jobs: Collection[str]) -> None:
        from .output_archive import clean_up_archive

        await self.runs.load_namespace()
        await clean_up_archive(self, jobs)

    # -- opening ---------------------------------------------------------------------------------

    def _create_tracker(self) -> ProcessTracker:
        from .launch import Launcher
        from .tracker import ProcessTracker

        self._launcher = Launcher(self)
        return ProcessTracker(self)

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
        if self.failed_counted_by and not self.streams.publishes_failed:
            raise TaskConfigurationError(
                f"{self.name}: publish_failed=False keeps the output of failed jobs from "
                f"{', '.join(self.failed_counted_by)}, which is plugged with failed_counts=True; "
                "remove one of the two arguments"
            )
        await self.template.check()
        if self.drives and not self.backend.fits(self.job_resources):
            raise TaskConfigurationError(
                f"{self.name}: no job can ever be launched, because one takes {self.job_resources} "
                "and no machine of its pool has such a quota"
            )
        self.template.require_known(("job", "task"), self.links)
        if self.drives:
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
        if not self.drives or self.shell is not None or self.template.names_interpreter:
            return warnings
        return warnings + [
            f"{backend.host} has no bash, so scripts without a first line `#!` run under `sh -eu`, "
            "where a failing command inside a pipe is not detected; install bash, or choose a "
            'shell with `shell=` (`shell="sh"` keeps this behaviour)'
            for backend in self.backend.hosts
            if backend.is_up and backend.configured_shell is None and await backend.lacks_bash()
        ]

    # -- quota -----------------------------------------------------------------------------------

    async def _usage(self) -> Resources:
        """Return the share of the quota that the live jobs take."""
        from pydatatask_core.resource_manager import Resources
        from pydatatask_core.resource_manager.quantity import EXACT

        tracked, count = await self._tracker.live_jobs()
        job, since = self.job_resources, time.monotonic() - self.window.total_seconds()
        recent = sum(one.started_at is not None and one.started_at > since for one in tracked)
        return Resources(
            EXACT.multiply(job.cpu, count), EXACT.multiply(job.mem, count), job.launches * recent
        )

    def launch_capacity(self) -> int | None:
        return self.quota.room(self.job_resources)

    async def requested_resources(self, job: str) -> Resources | None:
        return self.job_resources

    # -- launching and killing -------------------------------------------------------------------

    async def _launch(self, tracked: ProcessJob) -> None:
        from .launch import EndedElsewhereError

        try:
            await self._launcher.launch(tracked, self._tracker)
        except EndedElsewhereError:  # stop tracking it; another process killed or removed it
            record = None if self.done is None else await self.done.info(tracked.job)
            is_recorded = isinstance(record, dict) and record.get("success") is False
            await self._tracker.complete(tracked, record if is_recorded else None)

    async def _kill_untracked(self, job: str, grace: float | None) -> bool:
        """Kill a job that this process does not track; see :meth:`kill`.

        :raises ForeignRecordError: if its record names anything that does not belong to the job.
        """
        from .termination import terminate_foreign

        await self._tracker.check_not_quarantined(job)
        return not self.drives and await terminate_foreign(self, self._tracker, job, grace)

    def note_missing(self, jobs: AbstractSet[str]) -> None:
        for job in jobs:
            tracked = self._tracker.jobs.get(job)
            if tracked is None or not tracked.awaits_retry or tracked.retry_at is None:
                continue
            timer = self.retry_timers.get(job)
            if timer is not None:
                timer.cancel()
                if job not in self.due_retries:
                    self.due_retries.append(job)  # the launch detects that it was killed
