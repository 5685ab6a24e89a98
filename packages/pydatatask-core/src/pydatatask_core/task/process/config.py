"""The configuration of a process task, and the values derived from it."""

from __future__ import annotations

import asyncio
import reprlib
from abc import ABC, abstractmethod
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import ForeignRecordError, TaskConfigurationError
from pydatatask_core.proc_manager.base import STDOUT, AbstractProcessManager
from pydatatask_core.proc_manager.protocol.run_directory import STDERR, STDOUT_FILE, safe_name
from pydatatask_core.proc_manager.shell import parse_shell
from pydatatask_core.task.durations import checked_quoting, parse_seconds, parse_window
from pydatatask_core.task.logging_task import LoggingTask
from pydatatask_core.task.template import TaskTemplate

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from pydatatask_core.proc_manager.backend import ProcessBackend
    from pydatatask_core.proc_manager.base import _StderrIsStdout
    from pydatatask_core.proc_manager.pool import ManagerPool
    from pydatatask_core.proc_manager.process import ProcessRun
    from pydatatask_core.repository.base import Repository
    from pydatatask_core.repository.blob import BlobRepository
    from pydatatask_core.repository.metadata import MetadataRepository
    from pydatatask_core.resource_manager import ResourceManager, Resources
    from pydatatask_core.task.retries import Retries
    from pydatatask_core.task.template import Quoting, Template
    from pydatatask_core.utils import AReadStream

__all__ = ["ProcessConfig"]

_RANDOM_BYTES = 8


class ProcessConfig(LoggingTask, ABC):
    """The configuration of a process task; see :class:`ProcessTask` for the parameters."""

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
    ) -> None:
        super().__init__(name, ready, disabled, retries=retries, concurrency=concurrency)
        self._check(manager, resource_manager, job_resources)
        self._manager = manager
        self._open_manager: AbstractProcessManager | ManagerPool | None = None
        self.resource_manager = resource_manager
        self.job_resources = job_resources
        self.template = TaskTemplate(template, name, checked_quoting(name, quoting))
        self.window = parse_window(name, window)
        self.environ = _check_environ(name, environ)
        self.timeout = parse_seconds(name, "timeout", timeout)
        try:
            self.shell = parse_shell(shell)
        except ValueError as e:
            raise TaskConfigurationError(f"{name}: {e}") from e
        self._publish_failed = publish_failed
        self.keep_failed = parse_seconds(name, "keep_failed", keep_failed) or 0.0
        self.pids = pids
        self.done = done
        self.stdin = stdin
        self.stdout = stdout
        self.interleaves = stderr is STDOUT
        self._stderr: Any = None if self.interleaves else stderr
        self._link_all()
        self._namespace = ""
        self._folders: dict[tuple[ProcessBackend, str, str | None], Path] = {}
        self._create_collaborators()

    @abstractmethod
    def _create_collaborators(self) -> None:
        """Create the objects that use the configuration."""

    def _check(self, manager: object, quota: object, resources: object) -> None:
        if not callable(manager):
            raise TaskConfigurationError(
                f"{self.name}: manager has to be a callable that returns a process manager, such "
                f"as `lambda: {manager!r}`, not {manager!r} itself"
            )
        from pydatatask_core.resource_manager import ResourceManager, Resources

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
            self.link_blobs("stdin", self.stdin, is_input=True)
        alone = self.done is None
        if self.stdout is not None:
            self.link_blobs("stdout", self.stdout, is_output=True, inhibits_start=alone)
        if self._stderr is not None:
            self.link_blobs("stderr", self._stderr, is_output=True, inhibits_start=alone)

    # -- values derived from the configuration ---------------------------------------------------

    @property
    def manager(self) -> AbstractProcessManager:
        """The process manager for this task.

        :raises SessionError: if the manager comes from a session that is closed.
        """
        manager = self._current_manager()
        if isinstance(manager, AbstractProcessManager):
            return manager
        raise TaskConfigurationError(
            f"{self.name}: its jobs run on several machines, each with its own manager; use "
            "`backend`"
        )

    def _current_manager(self) -> AbstractProcessManager | ManagerPool:
        if self._open_manager is not None:
            return self._open_manager
        manager = self._manager()
        if not isinstance(manager, AbstractProcessManager) and not _is_pool(manager):
            raise TaskConfigurationError(
                f"{self.name}: its manager, {self._manager!r}, returned {manager!r}, which is not "
                "a process manager"
            )
        if self.runtime is not None:  # its session stays open at least as long
            self._open_manager = manager
        return manager

    @property
    def backend(self) -> ProcessBackend:
        """The backend that the manager launches jobs with."""
        return self._current_manager().backend

    @property
    def stderr(self) -> BlobRepository | None:
        """The repository for stderr, or None if it goes to the null device.

        Without one, but with ``done``, the end of stderr is stored in ``done``.
        """
        return self.stdout if self.interleaves else self._stderr

    @property
    def basedir(self) -> Path:
        """The directory for this task in the target environment."""
        return self.backend.basedir() / self.name

    @property
    def quotas(self) -> tuple[ResourceManager, ...]:
        return (self.resource_manager,)

    @property
    def is_driver(self) -> bool:
        """True if this process manages all jobs of the task."""
        return self.runtime is None or self.runtime.mode == "drive"

    def captured_streams(self) -> tuple[bool, bool | _StderrIsStdout]:
        """Return whether stdout and stderr are captured on the target while a job runs."""
        stdout = self.stdout is not None or (self.interleaves and self.done is not None)
        if self.interleaves:
            return stdout, STDOUT if stdout else False
        return stdout, self._stderr is not None or self.done is not None

    @property
    def captured_stream_names(self) -> list[str]:
        """The names of the streams that are captured on the target while a job runs."""
        stdout, stderr = self.captured_streams()
        return [STDOUT_FILE] * stdout + [STDERR] * (stderr is True)

    @property
    def published_streams(self) -> dict[str, BlobRepository]:
        """The repository of each stream that is published."""
        targets = {STDOUT_FILE: self.stdout, STDERR: self._stderr}
        return {name: repo for name, repo in targets.items() if repo is not None}

    @property
    def publishes_failed(self) -> bool:
        """True if the output of failed jobs is published as well."""
        if self._publish_failed is None:
            return bool(self.failed_counted_by)
        return self._publish_failed

    def publishes(self, name: str, failed: bool) -> bool:
        """Return whether a stream of an ended job is copied to a repository.

        :param name: the name of the stream.
        :param failed: whether the job has failed.
        """
        if name not in self.published_streams:
            return False
        if not failed or self.publishes_failed:
            return True
        return name == STDERR and self.done is not None  # otherwise stderr would mark it as ended

    @property
    def uses_default_shell(self) -> bool:
        """True if scripts run in the default interpreter, unless a template prints a shebang."""
        chosen = self.shell or next((host.configured_shell for host in self.backend.hosts), None)
        return chosen is None and not self.template.names_interpreter

    @property
    def log_repositories(self) -> Sequence[BlobRepository]:
        return list(self.published_streams.values())

    async def open_logs(self, job: str) -> AsyncGenerator[tuple[str, AReadStream], None]:
        from .output_archive import open_logs

        await self.load_namespace()
        async with aclosing(open_logs(self, job)) as streams:
            async for stream in streams:
                yield stream

    async def clean_up(self, jobs: Collection[str]) -> None:
        from .output_archive import clean_up_archive

        await self.load_namespace()
        await clean_up_archive(self, jobs)

    def stream_logs(self, job: str, *, follow: bool = False) -> AsyncGenerator[bytes, None]:
        from .logs import read_streams

        return read_streams(self, job, follow)

    def target_path(self, kind: str, job: str | None = None, host: str | None = None) -> Path:
        """Return the directory of one kind on the target, or the entry of a job in it.

        It is different for two pipelines that have tasks of the same name by chance.

        :param kind: the kind: ``runs``, ``attempts`` or ``failed``.
        :param job: the job.
        :param host: the machine, if the jobs run on several.
        """
        backend = self.backend
        path = self._folders.get((backend, kind, host))
        if path is None:
            path = backend.basedir(host) / self.name / self._namespace / kind
            self._folders[(backend, kind, host)] = path
        return path if job is None else path / safe_name(job)

    def new_run(self, job: str, host: str | None = None) -> ProcessRun:
        """Create the run directory object for a new run of a job.

        :param job: the job.
        :param host: the machine, if the jobs run on several.
        """
        backend = self.backend
        directory = self.target_path("runs", job, host)
        if not backend.atomic_create:
            import secrets

            name = f"{directory.name}.{secrets.token_hex(_RANDOM_BYTES)}"
            directory = directory.with_name(name)
        note = None if self.done is None else self.target_path("attempts", job, host)
        from pydatatask_core.proc_manager.process import ProcessRun

        held = self.target_path("failed", job, host)
        return ProcessRun(
            directory, backend.host if host is None else host, note_path=note, held=held
        )

    def recorded_run(self, job: str, record: Any, host: str | None = None) -> ProcessRun:
        """Return the run of a job that has a record or a directory.

        The directory follows from the job. A record adds only the machine, if there are several,
        and the process, for a manager that needs it; the latter is passed to the manager alone.

        :param job: the job.
        :param record: the record, of any origin; None or empty if there is none.
        :param host: the machine on which its directory was found.
        :raises ForeignRecordError: if the record names anything that does not belong to the job.
        """
        if record is not None and not isinstance(record, dict):
            raise self._foreign(job, f"is not a mapping, but {reprlib.repr(record)}")
        fields = record or {}
        path, where, pid = fields.get("handle"), fields.get("host"), fields.get("pid")
        where = where if isinstance(where, str) else host
        if not self.backend.knows_host(where):
            named = f"names the host {reprlib.repr(fields.get('host'))}"
            raise self._foreign(job, f"{named}, which is not a machine of the pool")
        run = self.new_run(job, where)
        if path is not None and path != str(run.directory):
            expected = self.target_path("runs", job, where)
            if self.backend.atomic_create or not _is_random_name_of(expected, path):
                suffix = "" if self.backend.atomic_create else " with a random suffix"
                wanted = f"{str(expected)!r}{suffix}"
                named = f"names {path!r} as its run directory, which has to be {wanted}"
                raise self._foreign(job, named)
            run.directory = expected.with_name(path.rpartition("/")[2])
        if isinstance(pid, str):
            run.handle = pid
        return run

    def _foreign(self, job: str, problem: str) -> ForeignRecordError:
        return ForeignRecordError(self.name, job, self.pids, problem)

    async def load_namespace(self) -> None:
        """Compute the directory name that separates tasks of the same name; see `target_path`."""
        if not self._namespace:
            identity = await asyncio.to_thread(lambda: self.pids.identity)
            import hashlib

            self._namespace = hashlib.sha256((identity or "").encode()).hexdigest()[:12]


def _is_random_name_of(expected: Path, path: object) -> bool:
    """Return whether a path is one that :meth:`ProcessConfig.new_run` can create for a job."""
    import re

    suffix = rf"\.[0-9a-f]{{{2 * _RANDOM_BYTES}}}"
    return isinstance(path, str) and bool(re.fullmatch(re.escape(str(expected)) + suffix, path))


def _is_pool(manager: object) -> bool:
    from pydatatask_core.proc_manager.pool import ManagerPool

    return isinstance(manager, ManagerPool)


def _check_environ(name: str, environ: Mapping[str, str] | None) -> dict[str, str]:
    checked = dict(environ or {})
    for key, value in checked.items():
        if not isinstance(key, str) or not key or "=" in key or "\0" in key:
            raise TaskConfigurationError(f"{name}: {key!r} cannot be an environment variable")
        if not isinstance(value, str) or "\0" in value:
            raise TaskConfigurationError(
                f"{name}: the environment variable {key} has to be a string, not {value!r}"
            )
    return checked
