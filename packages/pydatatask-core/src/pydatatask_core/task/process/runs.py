"""The run directories of a process task: their paths, and the check of those in records."""

from __future__ import annotations

import asyncio
import reprlib
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import ForeignRecordError
from pydatatask_core.proc_manager.protocol.run_directory import safe_name

if TYPE_CHECKING:
    from pathlib import Path

    from pydatatask_core.proc_manager.backend import ProcessBackend
    from pydatatask_core.proc_manager.process import ProcessRun

    from .task import ProcessTask

__all__ = ["RunDirectories"]

_RANDOM_BYTES = 8


class RunDirectories:
    """The directories on the target in which the jobs of a task run.

    :param task: the task.
    """

    def __init__(self, task: ProcessTask) -> None:
        self._task = task
        self._namespace = ""
        self._folders: dict[tuple[ProcessBackend, str, str | None], Path] = {}

    async def load_namespace(self) -> None:
        """Compute the directory name that separates tasks of the same name; see :meth:`path`."""
        if not self._namespace:
            identity = await asyncio.to_thread(lambda: self._task.pids.identity)
            import hashlib

            self._namespace = hashlib.sha256((identity or "").encode()).hexdigest()[:12]

    def path(self, kind: str, job: str | None = None, host: str | None = None) -> Path:
        """Return the directory of one kind on the target, or the entry of a job in it.

        It is different for two pipelines that have tasks of the same name by chance.

        :param kind: the kind: ``runs``, ``attempts`` or ``failed``.
        :param job: the job.
        :param host: the machine, if the jobs run on several.
        """
        folder = self._folder(self._task.backend, kind, host)
        return folder if job is None else folder / safe_name(job)

    def forget_folders(self) -> None:
        """Discard the folders of the back ends of an earlier opening."""
        self._folders.clear()

    def _folder(self, backend: ProcessBackend, kind: str, host: str | None) -> Path:
        folder = self._folders.get((backend, kind, host))
        if folder is None:
            folder = backend.basedir(host) / self._task.name / self._namespace / kind
            self._folders[(backend, kind, host)] = folder
        return folder

    def new(self, job: str, host: str | None = None) -> ProcessRun:
        """Create the run directory object for a new run of a job.

        :param job: the job.
        :param host: the machine, if the jobs run on several.
        """
        from pydatatask_core.proc_manager.process import ProcessRun

        backend = self._task.backend
        name = safe_name(job)
        directory = self._folder(backend, "runs", host) / name
        if not backend.atomic_create:
            import secrets

            directory = directory.with_name(f"{name}.{secrets.token_hex(_RANDOM_BYTES)}")
        note = None if self._task.done is None else self._folder(backend, "attempts", host) / name
        held = self._folder(backend, "failed", host) / name
        return ProcessRun(
            directory, backend.host if host is None else host, note_path=note, held=held
        )

    def recorded(self, job: str, record: Any, host: str | None = None) -> ProcessRun:
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
        backend, fields = self._task.backend, record or {}
        path, where, pid = fields.get("handle"), fields.get("host"), fields.get("pid")
        where = where if isinstance(where, str) else host
        if not backend.knows_host(where):
            named = f"names the host {reprlib.repr(fields.get('host'))}"
            raise self._foreign(job, f"{named}, which is not a machine of the pool")
        run = self.new(job, where)
        if path is not None and path != str(run.directory):
            expected = self.path("runs", job, where)
            if backend.atomic_create or not _is_random_name_of(expected, path):
                suffix = "" if backend.atomic_create else " with a random suffix"
                wanted = f"{str(expected)!r}{suffix}"
                named = f"names {path!r} as its run directory, which has to be {wanted}"
                raise self._foreign(job, named)
            run.directory = expected.with_name(path.rpartition("/")[2])
        if isinstance(pid, str):
            run.handle = pid
        return run

    def _foreign(self, job: str, problem: str) -> ForeignRecordError:
        return ForeignRecordError(self._task.name, job, self._task.pids, problem)


def _is_random_name_of(expected: Path, path: object) -> bool:
    """Return whether a path is one that :meth:`RunDirectories.new` can create for a job."""
    import re

    suffix = rf"\.[0-9a-f]{{{2 * _RANDOM_BYTES}}}"
    return isinstance(path, str) and bool(re.fullmatch(re.escape(str(expected)) + suffix, path))
