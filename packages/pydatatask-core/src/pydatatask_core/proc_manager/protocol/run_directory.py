"""The protocol of run directories: their files, and the state of each file at each instant.

A job that runs as a process has one run directory on its target, named after the job, which is its
working directory. It contains only data, in files whose names begin with a dot, so that a script
that lists or cleans its directory sees only its own files:

``.script``
    the script, which is run by the interpreter in its ``#!`` line, or else by a strict shell
    (``shell``).
``.stdin``, ``.stdout``, ``.stderr``
    its standard streams, as far as it has them.

Everything that decides anything is in the *journal*, a folder beside the run directories that a job
in a container cannot reach.

The machine of the driver
    The files of the journal are named after the job and the inode number of its run directory, so
    an entry never belongs to another directory of the same path (``local.journal``,
    ``local.supervisor.entry``).

    =====================  ===========================  ===============  ==========================
    instant                ``JOB@INODE,ready``          ``JOB@INODE``    state
    =====================  ===========================  ===============  ==========================
    directory created      --                           --               never started
    create() has returned  all blank, with the origin   --               created
    being started          supervisor written           --               created
    decided                --                           supervisor       running, if the supervisor
                                                                         exists; else lost
    started                --                           + process        running, if the process
                                                                         exists; else lost
    exited                 --                           + exit status    exited
    reaped                 --                           + usage          exited
    revoked                --                           --               never started
    =====================  ===========================  ===============  ==========================

    The *ticket* ``JOB@INODE,ready`` is written by the driver, with all its bytes, so that nothing
    that follows needs space on the disk. The process that removes the ticket decides whether the
    job runs: the supervisor renames it to ``JOB@INODE`` right before it starts the process; a
    driver that must be certain that the script never runs unlinks it. Only one of the two succeeds,
    and the result shows which one. A late supervisor finds no ticket, or another directory, or
    another ``.script`` at the path, and does nothing.

    A process *exists* until it is reaped. The supervisor reaps it after it has written the exit
    status, so a process that does not exist has its exit status in the journal, or never will.
    ``JOB@INODE,stop`` holds the reason why a driver has terminated the process, if it has.

    The supervisor is a program of two processes for all jobs of a driver (``local.supervisor``).
    Either of them may be killed without any loss. Each job has a session of its own, and is over
    when its session is empty: processes that it leaves behind have a grace period
    (:data:`GRACE_SECONDS`), are then asked to exit, and killed after another one, unless the job
    lets them continue. Until then the process of the job is not reaped, so that its process id
    stays the id of the session.
Over SSH
    The target needs a POSIX shell, ``/proc`` and ``setsid`` (1). The supervisor of a job is a shell
    (``pydatatask_ssh.remote.supervisor``), the parent of its process, in a session of its own.

    ``.status`` (in the journal, as ``JOB``)
        First line: the exit status, once there is one. Until then the line is *reserved*, that is,
        filled with blanks; it is overwritten in place by one ``write`` of a line of the same
        length. So the status is complete or absent, even on a full disk. Below it the identity of
        the process: the boot id of the machine, and the line of ``/proc/self/stat`` of the process
        (proc(5)), with its id, its start time, and its parent, the supervisor. Process id, start
        time and boot id together never identify another process. Below that the reason why the
        process was terminated, if it was.
    ``.begun`` (in the run directory)
        an empty file once the process becomes the script, or a directory if it never will.

    Whether the job runs is decided by the creation of ``.begun``. The process writes its status,
    which has to succeed, creates the file ``.begun`` (``noclobber`` in the shell), and becomes the
    script. A driver that must be certain that the script never runs creates a directory of that
    name. If ``.begun`` is a file, the status is complete, so they have to be read in this order.
The order of operations
    Creating a run directory is exclusive (``mkdir`` without ``-p``). It is created and filled; then
    the record of the job is written; then the process is started. At the end, the results are
    stored, the record is removed, then the entry of the journal, and the directory last. So after
    the death of a driver at any point: without directory and record, nothing has happened yet, or
    the job is complete; a directory without a record means that the script never ran, that the job
    is complete (exited, perhaps partly removed), or that the record was deleted (alive: it is
    restored); a record without a directory means that the directory was deleted, and the job is
    lost; with both, the journal shows the state.
    A directory that cannot be removed at the end (files of another user, a mount in it) is a
    *leftover*: the job is complete nevertheless. The directory gets a name with a comma, which no
    job has, or keeps its name if it cannot be renamed either. The removal is retried when the task
    is opened.
Trust in records
    Records are read from a store that others may write to. So no record determines a path that is
    removed, read or written, or a process that is killed: the directory of a job follows from the
    job alone, and a record that names another one is refused. A directory without a record is
    removed only if it contains one of the files above, or is empty.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BEGUN",
    "DEFAULT_SHELL",
    "GRACE_SECONDS",
    "NOT_A_RUN_DIRECTORY",
    "RESERVED_STATUS",
    "RUN_FILES",
    "SCRIPT",
    "STATUS",
    "STATUS_WIDTH",
    "STDERR",
    "STDIN",
    "STDOUT_FILE",
    "command_line",
    "is_leftover",
    "is_run_file",
    "leftover_name",
    "original_name",
    "parse_status",
    "safe_name",
]

SCRIPT = ".script"
STDIN = ".stdin"
STDOUT_FILE = ".stdout"
STDERR = ".stderr"
STATUS = ".status"
BEGUN = ".begun"

GRACE_SECONDS = 10.0
"""The time after which a process that was asked to exit is killed."""

RUN_FILES = (SCRIPT, STATUS, BEGUN, STDIN, STDOUT_FILE, STDERR)
"""The files that identify a run directory."""

NOT_A_RUN_DIRECTORY = "it does not contain any file of a run directory, so it was not removed"
"""The reason why a directory with other files is not removed."""

_MAX_NAME_LENGTH = 200
DEFAULT_SHELL = "/bin/sh"

STATUS_WIDTH = 7
RESERVED_STATUS = b" " * STATUS_WIDTH + b"\n"
"""The first line of a status file without a status: of the same length, and not an integer."""


def command_line(script: bytes, path: str, shell: Sequence[str]) -> list[str]:
    """Return the command line that runs a script.

    It follows the rules of the kernel: the first line names an interpreter and at most one
    argument. Running the script directly does not work for a file that another process has open for
    writing, if only between the fork and exec of another job, nor on a file system that is mounted
    ``noexec``, as ``/tmp`` may be.

    :param script: the script.
    :param path: its path on the target.
    :param shell: the command line of the interpreter for scripts without a ``#!`` line.
    """
    first, _, _ = script.partition(b"\n")
    if not first.startswith(b"#!"):
        return [*shell, path]
    words = first[2:].decode("utf-8", "surrogateescape").strip(" \t\r").split(None, 1)
    return [*words, path] if words else [DEFAULT_SHELL, path]


def parse_status(text: bytes) -> int | None:
    """Parse an exit status; return None before it is written.

    :param text: the beginning of the file.
    """
    line, end, _ = text.partition(b"\n")
    valid = end and len(line) <= STATUS_WIDTH and line.strip().isdigit()
    return int(line) if valid else None


def safe_name(name: str) -> str:
    """Return the name of the directory of a job or an app. Different names have different results.

    :param name: any text.
    """
    if name.isascii() and name.isalnum():
        return name
    from urllib.parse import quote

    quoted = quote(name, safe="")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")


def leftover_name(path: str) -> str:
    """Return another path in the same folder for a run directory that cannot be removed.

    No job has a directory of such a name, because :func:`safe_name` never returns a comma.

    :param path: the path of the directory.
    """
    folder, _, name = path.rpartition("/")
    return f"{folder}/{name[:_MAX_NAME_LENGTH]},{os.urandom(8).hex()}"


def is_leftover(name: str) -> bool:
    """Return whether a name was created by :func:`leftover_name`.

    :param name: the name of an entry of a folder of run directories.
    """
    return "," in name


def is_run_file(name: str) -> bool:
    """Return whether a file of this name identifies a run directory.

    :param name: the name of a file.
    """
    return name in RUN_FILES


def original_name(name: str) -> str:
    """Return the original of a name that :func:`safe_name` returned."""
    from urllib.parse import unquote

    return unquote(name) if "%" in name else name
