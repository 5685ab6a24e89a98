"""The files of a run directory on its target, and the supervisor that outlives the driver.

A job that runs on a target with a POSIX shell, ``/proc`` and ``setsid`` (1) has one run directory,
named after the job, which is its working directory. It contains everything that is needed to
continue with the job after a crash, in files whose names begin with a dot, so that a script that
lists or cleans its directory sees only its own files:

``.script``
    the script, which is run by the interpreter in its ``#!`` line, or else by a strict shell
    (``shell``).
``.stdin``, ``.stdout``, ``.stderr``
    its standard streams, as far as it has them.
``.status``
    First line: the exit status, once there is one. Until then the line is *reserved*, that is,
    filled with blanks; it is overwritten in place by one ``write`` of a line of the same length,
    which parses as an integer. So the status is complete or absent, even on a full disk. Below it
    the identity of the process: the boot id of the machine, and the line of ``/proc/self/stat`` of
    the process (proc(5)), with its id, its start time, and its parent, the supervisor. Process id,
    start time and boot id together never identify another process. Below that the reason why the
    process was terminated, if it was.
    On the local machine, this file is not in the run directory, which the job can write to, but in
    the journal beside it in the manager's private folder (``journal``), under a name that no other
    run directory has. So a late supervisor may write an entry, which is never read, but cannot
    create ``.begun``.
``.made-…``
    an empty file, the token, whose name is different for each directory (local machine only).
``.begun``
    an empty file once the process becomes the script, or a directory if it never will.

The decision that a job runs
    Creating the directory is exclusive (``mkdir`` without ``-p``), and so is creating ``.begun`` in
    it. The process writes ``.status``, which has to succeed, creates the file ``.begun``
    (``O_EXCL``, ``noclobber`` in the shell), and becomes the script. A driver that must be certain
    that a directory without ``.begun`` never runs creates a directory of that name (:data:`BEGUN`).
    Only one of the two can succeed; both are atomic, need no space on a full disk, and leave a
    result that shows which one succeeded, even if a process is killed at any time. If ``.begun`` is
    a file, ``.status`` is complete, so they have to be read in this order. The working directory of
    a late supervisor has been removed, so that it can create neither; or the supervisor finds a
    later directory of the same name, which another driver created, and detects by ``.made-…`` that
    this is not the one in its command.
The order of operations
    The directory is created and filled; then the record of the job is written; then the supervisor
    is started. At the end, the results are stored, the record is removed, and the directory last.
    So after the death of a driver at any point: without directory and record, nothing has happened
    yet, or the job is complete; a directory without a record means that the script never ran (not
    begun), that the job is complete (exited, perhaps partly removed), or that the record was
    deleted (alive: it is restored); a record without a directory means that the directory was
    deleted, and the job is lost; with both, the directory shows the state.
    A directory that cannot be removed at the end (files of another user, a mount in it) is a
    *leftover*: the job is complete nevertheless. The directory gets a name with a comma, which no
    job has, or keeps its name if it cannot be renamed either. The removal is retried when the task
    is opened.
Trust in records
    Records are read from a store that others may write to. So no record determines a path that is
    removed, read or written, or a process that is killed: the directory of a job follows from the
    job alone, and a record that names another one is refused. A directory without a record is
    removed only if it contains one of the files above, or is empty.
The supervisor
    The supervisor is a shell: the parent of the job's process, in a session of its own, so that
    neither the exit of the driver nor a hang-up or Ctrl-C in its terminal reaches it. On the local
    machine, a supervisor runs one job after another (``supervisors``). The process has its own
    session and process group in turn, so that a signal to the group, even SIGKILL, leaves the
    supervisor alive to write the status. If the supervisor itself is killed, the process continues
    and is monitored by its identity; only its status is lost.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BEGUN",
    "DEFAULT_SHELL",
    "KEPT_SUPERVISOR",
    "NOT_A_RUN_DIRECTORY",
    "NOT_BEGUN",
    "RESERVED_STATUS",
    "RUN_FILES",
    "SCRIPT",
    "STATUS",
    "STDERR",
    "STDIN",
    "STDOUT_FILE",
    "SUPERVISOR",
    "TOKEN_PREFIX",
    "command_line",
    "is_leftover",
    "is_run_file",
    "leftover_name",
    "order",
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
TOKEN_PREFIX = ".made-"

RUN_FILES = (SCRIPT, STATUS, BEGUN, STDIN, STDOUT_FILE, STDERR)
"""The files that identify a run directory, besides those with :data:`TOKEN_PREFIX`."""

NOT_A_RUN_DIRECTORY = "it does not contain any file of a run directory, so it was not removed"
"""The reason why a directory with other files is not removed."""

_MAX_NAME_LENGTH = 200
DEFAULT_SHELL = "/bin/sh"

_WIDTH = 7
RESERVED_STATUS = b" " * _WIDTH + b"\n"
"""The first line of a status file without a status: of the same length, and not an integer."""

NOT_BEGUN = 125
"""The exit status of a process, and of its supervisor, that did not start the script."""

_FUNCTION = f"""\
trap : HUP INT TERM
pdt_run() {{
  cd -P -- "$1" && exec 5<&- || exit {NOT_BEGUN}
  pdt_journal=$2 pdt_begun=$3 pdt_status=$4 pdt_boot=$5
  shift 5
  (
    read -r pdt_process </proc/self/stat
    case ${{pdt_process##*) }} in
    ?" $$ "*) ;;
    *) exit {NOT_BEGUN} ;;
    esac
    set -C
    printf '%{_WIDTH}s\\n%s\\n%s\\n' '' "$pdt_boot" "$pdt_process" >"$pdt_journal" ||
      exit {NOT_BEGUN}
    printf '' >"$pdt_begun" || exit {NOT_BEGUN}
    exec 3>&-
    exec "$@"
  )
  pdt_result=$? pdt_line=
  if [ $pdt_result = {NOT_BEGUN} ]; then
    [ -e "$pdt_begun" ] && [ ! -d "$pdt_begun" ] || exit {NOT_BEGUN}
  fi
  [ -e "$pdt_status" ] || exit 0
  IFS= read -r pdt_line <"$pdt_status"
  case $pdt_line in
  *[!\\ ]*) exit 0 ;;
  esac
  printf '%{_WIDTH}d\\n' $pdt_result 1<>"$pdt_status" || exit 0
}}
"""

SUPERVISOR = f"""\
# pydatatask: waits for the end of one job
{_FUNCTION}
pdt_run "$@"
"""
"""The supervisor, as a script for ``sh -c`` with the arguments

1. ``$0``, a name; the directory to run in; relative to that, the file for the identity of the
   process, the file that is created when it becomes the script, and the file for its status
   (``.status``, ``.begun`` and ``.status`` in a run directory); the boot id;
2. the path of ``setsid``, and the command line of the process;

and with the file descriptors 0 to 2 of the process. The caller may also pass 3 and 5, which the
process does not inherit. It exits with 0 if the script ran, even if it failed, or with
:data:`NOT_BEGUN` if it did not: the process was revoked, or the disk was too full to write its
identity. A process whose supervisor is killed before the process has written its identity gets
another parent, which must not be mistaken for the supervisor, so it exits.

The script uses shell builtins only. The process group needs ``setsid``, because non-interactive
shells have no job control. Assigning to a variable of the environment changes it for the job, so
all variables have distinctive names.
"""

KEPT_SUPERVISOR = f"""\
{_FUNCTION}
cd /
"""
"""The first input of a supervisor that runs one job after another (``sh -s``).

It is followed by job commands, see :func:`order`. The supervisor reads them from descriptor 0 and
reports on descriptor 3 when it has finished one: a line with 0 if the script ran and its status is
written, or with another number if the script did not run because the directory was gone or one of
the streams could not be opened. In any other case it exits with the status that the supervisor
above would have.
"""


def order(
    path: str,
    mark: str,
    boot_id: str,
    command: Sequence[str],
    streams: tuple[str, str, str | None],
    status: str = STATUS,
) -> str:
    """Return the command with which a kept supervisor runs a job.

    :param path: the run directory.
    :param mark: the name of a file in it that no other directory of that path has.
    :param boot_id: the boot id.
    :param command: the path of ``setsid``, and the command line of the process.
    :param streams: the files to read stdin from, and to append stdout and stderr to, relative to
        the run directory; None as stderr is the same as stdout.
    :param status: the file for the identity and the exit status of the process.
    """
    stdin, stdout, stderr = streams
    new = [name for name in (stdout, stderr) if name in (STDOUT_FILE, STDERR)]
    made = [STDIN] if stdin == STDIN else []
    if command[-1] == f"{path}/{SCRIPT}":
        made.append(SCRIPT)
    # Otherwise a link or a FIFO that another process created would be followed, or block.
    tests = [f"[ -e {shlex.quote(mark)} ]", f"[ ! -p {BEGUN} ] && [ ! -h {BEGUN} ]"]
    tests += [f"[ ! -e {name} ] && [ ! -h {name} ]" for name in new]
    tests += [f"[ -f {name} ] && [ ! -h {name} ]" for name in made]
    there = " && ".join([f"cd -P -- {shlex.quote(path)}", *tests])
    words = map(shlex.quote, [".", status, BEGUN, status, boot_id, *command])
    errors = "2>&1" if stderr is None else f"2>>{shlex.quote(stderr)}"
    redirected = f"<{shlex.quote(stdin)} >>{shlex.quote(stdout)} {errors}"
    report = "pdt_result=$?; cd /; echo $pdt_result >&3"
    return f"{there} && pdt_run {' '.join(words)} {redirected}; {report}\n"


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
    valid = end and len(line) <= _WIDTH and line.strip().isdigit()
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
    return name in RUN_FILES or name.startswith(TOKEN_PREFIX)


def original_name(name: str) -> str:
    """Return the original of a name that :func:`safe_name` returned."""
    from urllib.parse import unquote

    return unquote(name) if "%" in name else name
