"""The status of a run on this machine. Everything here blocks.

The journal holds the process of a run and its exit status. In the run directory, only the streams
are read, and nothing that a job can put there is followed, waited for, or trusted.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, NamedTuple, Self

from pydatatask_core.proc_manager.process import MAX_INLINE_BYTES, TAIL_BYTES, Output, ProcessState
from pydatatask_core.proc_manager.protocol.identity import Identity, Process, read_uptime
from pydatatask_core.proc_manager.protocol.status import Observation, classify

from .journal import EntryContent, find_entry
from .run_files import RunDirectory, RunFileError
from .supervisor.procfs import find_leader, read_start_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pydatatask_core.proc_manager.process import ProcessStatus
    from pydatatask_core.proc_manager.protocol.identity import Origin

    from .journal import Entry
    from .manager import LocalLinuxManager
    from .supervised import ExitReport

__all__ = ["OpenRun", "inspect", "read_identity", "read_outputs", "read_tail"]


class OpenRun(NamedTuple):
    """A run directory as it is now, and the journal entry of the run.

    :param path: the path of the run directory.
    :param directory: the run directory, if it is the one that was created for the run.
    :param entry: the journal entry; None if the run was not created.
    :param problem: the reason why an existing run directory cannot be used.
    """

    path: str
    directory: RunDirectory | None
    entry: Entry | None
    problem: str | None

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: str, known: Entry | None = None) -> Iterator[Self]:
        """Open a run directory, if there is a usable one.

        :param path: its path.
        :param known: its journal entry, if this process created both.
        """
        directory, problem = None, None
        try:
            directory = RunDirectory(path)
        except FileNotFoundError:
            pass
        except RunFileError as e:
            problem = str(e)
        try:
            if known is None or directory is None or known.inode != directory.status.st_ino:
                known, is_own = find_entry(path, directory)
                if directory is not None and not is_own:
                    directory.close()
                    name = os.path.basename(path)
                    directory, problem = None, f"`{name}` is not its run directory any more"
            yield cls(path, directory, known, problem)
        finally:
            if directory is not None:
                directory.close()

    @property
    def is_known(self) -> bool:
        """True if the run directory is the one that was created with the entry."""
        return self.directory is not None and self.entry is not None

    def require(self) -> RunDirectory:
        """Return the run directory.

        :raises FileNotFoundError: if it does not exist.
        :raises RunFileError: if something else is in its place.
        """
        if self.directory is not None:
            return self.directory
        if self.problem is not None:
            raise RunFileError(self.problem)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)

    def read_entry(self) -> EntryContent:
        """Read the entry of the run in the journal.

        :raises RunFileError: if it is not a regular file any more.
        """
        return EntryContent() if self.entry is None else self.entry.read()

    def is_alive(self, content: EntryContent, manager: LocalLinuxManager) -> bool:
        """Return whether the job of a run is running, or its supervisor is about to write its end.

        A process that has exited is reaped after its exit status is written.

        :param content: its entry, without an exit status.
        :param manager: the manager of the run.
        """
        if content.identity is not None:
            apart = manager.origin.is_elsewhere(content.identity.origin)
            if apart and self.directory is None and self.problem is None:
                return False  # the user removed its directory to declare it gone for good
            return manager.is_alive(content.identity)
        # It is being started.
        if content.origin is not None and manager.origin.is_elsewhere(content.origin):
            return self.directory is not None
        return any(process.is_alive() for process in content.supervisors)

    def find_process(self, content: EntryContent, manager: LocalLinuxManager) -> None:
        """Find the process of a job whose supervisor was killed before it wrote the process.

        :param content: its entry, without a process.
        :param manager: the manager of the run.
        """
        if self.directory is None or self.entry is None or content.origin != manager.origin:
            return
        pid = find_leader(self.directory.status, content.decided)
        with contextlib.suppress(OSError):  # it has exited meanwhile
            if pid is not None:
                self.entry.save_process(pid, read_start_time(pid))


def describe_report(opened: OpenRun, report: ExitReport, origin: Origin) -> ProcessStatus:
    """Return the status of a run whose supervisor has reported its exit status.

    :param opened: its directory and its entry.
    :param report: the report.
    :param origin: the origin of this process.
    """
    assert opened.entry is not None
    observation = Observation(opened.path, origin.boot, return_code=report.return_code)
    observation.status_mtime = report.end_time
    if report.process is not None:
        observation.identity = Identity(Process(*report.process), report.supervisor, origin)
    observation.usage, observation.ended_processes = report.usage, report.ended_processes
    observation.stop_reason = opened.entry.read_stop_reason()
    return classify(observation)


def inspect(
    opened: OpenRun,
    manager: LocalLinuxManager,
    *,
    fence: bool = False,
    has_started: bool | None = None,
) -> ProcessStatus:
    """Return the status of a run, without its outputs.

    :param opened: its directory.
    :param manager: the manager of the run.
    :param fence: whether to guarantee that a script not started by now never will be.
    :param has_started: whether the script was started, if known.
    """
    observation = _observe(opened, manager)
    if observation.started is None:
        observation.started = has_started
    status = classify(observation)
    if status.state is not ProcessState.CREATED or not fence:
        return status
    if opened.entry is not None and opened.entry.revoke():
        status.state = ProcessState.NEVER_STARTED
        return status
    with OpenRun.opened(opened.path) as again:
        return inspect(again, manager)  # it has started in the meantime, or is gone


def _observe(opened: OpenRun, manager: LocalLinuxManager) -> Observation:
    observation = Observation(opened.path, manager.boot_id, problem=opened.problem)
    observation.exists = opened.directory is not None
    try:
        content = opened.read_entry()
        if content.is_started and content.return_code is None:
            observation.is_alive = opened.is_alive(content, manager)
            if not observation.is_alive and content.identity is None:
                opened.find_process(content, manager)
                content = opened.read_entry()
                observation.is_alive = opened.is_alive(content, manager)
            if observation.is_alive:
                observation.uptime_seconds = read_uptime()
            else:
                content = opened.read_entry()  # the final status
    except RunFileError as e:
        observation.problem = str(e)
        return observation
    observation.started = True if content.is_started else None if content.is_ready else False
    observation.identity, observation.stop_reason = content.identity, content.stop_reason
    observation.status_mtime = content.modified
    observation.usage = content.usage
    observation.ended_processes = content.ended_processes
    if not observation.exists and observation.problem is None and observation.is_alive:
        observation.problem = f"its run directory {opened.path!r} is gone"
    elif observation.exists or observation.problem is not None:
        observation.return_code = content.return_code
    return observation


def read_outputs(
    opened: OpenRun,
    status: ProcessStatus,
    outputs: Iterable[str],
    note_path: Path | None,
    held: Path | None,
) -> None:
    """Add to a status the contents of the directory of a finished run.

    A stream that was replaced by something else is left out and becomes the ``problem``.

    :param opened: the directory.
    :param status: the status.
    :param outputs: the streams to read.
    :param note_path: the file of the note, if any.
    :param held: the archive directory, which may contain further links to the streams.
    """
    for name in outputs:
        try:
            output = (
                None if opened.directory is None else _read_output(opened.directory, name, held)
            )
        except RunFileError as e:
            status.problem = status.problem or str(e)
            continue
        if output is not None:
            status.outputs[name] = output
    if note_path is not None:
        status.note = _read_memo(note_path)


def _read_memo(note_path: Path) -> str | None:
    try:
        with RunDirectory(str(note_path.parent)) as folder:
            content = folder.read(note_path.name)
    except (FileNotFoundError, RunFileError):
        return None
    return None if content is None else content[0].decode(errors="replace")


def read_identity(path: str) -> Identity | None:
    """Return the identity of the process of a run; None if it is unknown.

    :param path: the directory of the run.
    """
    with OpenRun.opened(path) as opened:
        return opened.read_entry().identity


def read_tail(fd: int, length: int) -> bytes:
    """Read the end of a file.

    :param fd: its descriptor.
    :param length: the maximum number of bytes to return.
    """
    size = os.fstat(fd).st_size
    return os.pread(fd, length, max(0, size - length))


def _read_output(directory: RunDirectory, name: str, held: Path | None) -> Output | None:
    try:
        fd = directory.open(name, other_link=None if held is None else str(held / name))
    except FileNotFoundError:
        return None
    try:
        size = os.fstat(fd).st_size
        if size > MAX_INLINE_BYTES:
            return Output(size, None, read_tail(fd, TAIL_BYTES))
        data = os.read(fd, MAX_INLINE_BYTES) if size else b""
        return Output(len(data), data, data[-TAIL_BYTES:])
    finally:
        os.close(fd)
