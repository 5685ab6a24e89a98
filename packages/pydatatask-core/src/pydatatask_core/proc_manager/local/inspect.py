"""The status of a run on this machine. Everything here blocks.

The journal holds the identity of the process of a run and its exit status. In the run directory,
only the marker ``.begun`` and the streams are read, and nothing that a job can put there is
followed, waited for, or trusted as an identity. A run directory of an earlier release has no
journal; its status file counts if the kernel confirms that the process was started in that
directory.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple, Self

from pydatatask_core.proc_manager.process import MAX_INLINE_BYTES, TAIL_BYTES, Output, ProcessState
from pydatatask_core.proc_manager.protocol.identity import parse_identity, read_uptime
from pydatatask_core.proc_manager.protocol.journal import find_entry
from pydatatask_core.proc_manager.protocol.run_directory import BEGUN, STATUS, parse_status
from pydatatask_core.proc_manager.protocol.status import STOP_PREFIX, Observation, classify

from .run_files import RunDirectory, RunFileError, kind_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pydatatask_core.proc_manager.process import ProcessStatus
    from pydatatask_core.proc_manager.protocol.identity import Identity
    from pydatatask_core.proc_manager.protocol.journal import Entry

    from .manager import LocalLinuxManager

__all__ = ["OpenRun", "inspect", "read_identity", "read_outputs", "read_tail"]

_RESERVED = b"\n"


class OpenRun(NamedTuple):
    """A run directory as it is now, and the journal entry of the run.

    :param path: the path of the run directory.
    :param directory: the run directory, if it is the one that was created for the run.
    :param entry: the journal entry; None if the run is of an earlier release or was not created.
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
            if known is None or directory is None or not known.was_made_with(directory.status):
                known, is_own = find_entry(path, directory)
                if directory is not None and not is_own:
                    directory.close()
                    name = os.path.basename(path)
                    directory, problem = None, f"`{name}` is not its run directory any more"
            yield cls(path, directory, known, problem)
        finally:
            if directory is not None:
                directory.close()

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

    def read_status(self) -> tuple[bytes, float]:
        """Read the status file and its modification time.

        :raises RunFileError: if it is not a regular file any more.
        """
        if self.entry is not None:
            return self.entry.read()
        content = None if self.directory is None else self.directory.read(STATUS)
        return content or (b"", 0.0)

    def has_begun(self) -> bool | None:
        """Return whether the process has become the script; None if that is not decided yet.

        :raises RunFileError: if the marker is not a regular file any more.
        """
        mode = None if self.directory is None else self.directory.mode(BEGUN)
        if mode is None:
            return None
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            raise kind_error(BEGUN, mode)
        return not stat.S_ISDIR(mode)

    def is_alive(self, identity: Identity, manager: LocalLinuxManager) -> bool:
        """Return whether the process of the run or its supervisor is alive.

        :param identity: the process that the status names.
        :param manager: the manager of the run.
        """
        apart = manager.origin.is_elsewhere(identity.origin)
        if apart and self.directory is None and self.problem is None:
            return False  # the user removed its directory to declare it gone for good
        if not manager.is_alive(identity):
            return False
        if self.entry is not None or apart:
            return True
        return self.directory is not None and identity.is_tied_to(self.directory.status)

    def revoke(self) -> bool:
        """Ensure that a run that was not started never will be; return whether that succeeded."""
        if self.directory is None:
            return False
        try:
            self.directory.make_directory(BEGUN)
        except (FileExistsError, FileNotFoundError):
            return False
        return True

    def save_stop_reason(self, reason: str) -> None:
        """Save the reason why the run is terminated. The first reason is kept.

        :param reason: one line.
        """
        if self.entry is not None:
            self.entry.save_stop_reason(reason)
        elif self.directory is not None:  # an earlier release's; never write to the first line
            self.directory.append(STATUS, b"\n" + STOP_PREFIX + reason.encode() + b"\n")


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
    if opened.revoke():
        status.state = ProcessState.NEVER_STARTED
        return status
    with OpenRun.opened(opened.path) as again:
        return inspect(again, manager)  # it has started in the meantime, or is gone


def _observe(opened: OpenRun, manager: LocalLinuxManager) -> Observation:
    observation = Observation(opened.path, manager.boot_id, problem=opened.problem)
    observation.exists = opened.directory is not None
    try:
        # This is read first: if the script has begun, its status is complete.
        observation.started = opened.has_begun()
    except RunFileError as e:
        observation.started, observation.problem = True, str(e)
    try:
        observation.status, observation.status_mtime = opened.read_status()
        identity = parse_identity(observation.status)
        if identity is not None and parse_status(observation.status) is not None:
            # The supervisor never writes the status of a process that is alive.
            observation.is_alive = identity.process.is_alive() and opened.is_alive(
                identity, manager
            )
            if observation.is_alive:
                observation.status = _RESERVED + observation.status.partition(b"\n")[2]
        elif identity is not None:
            observation.is_alive = opened.is_alive(identity, manager)
        if observation.is_alive:
            observation.uptime_seconds = read_uptime()
        elif parse_status(observation.status) is None:
            observation.status, observation.status_mtime = opened.read_status()  # the final status
    except RunFileError as e:
        observation.problem = str(e)
    if not observation.exists and observation.problem is None:
        if observation.is_alive:
            observation.problem = f"its run directory {opened.path!r} is gone"
        else:
            observation.status = b""
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
        return parse_identity(opened.read_status()[0])


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
