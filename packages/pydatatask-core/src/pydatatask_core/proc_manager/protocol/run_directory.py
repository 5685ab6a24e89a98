"""How a job's directory looks on its target, and the small supervisor that outlives the driver.

A job that runs on a target with a POSIX shell, ``/proc`` and ``setsid`` (1) has one directory,
named after it, in which it runs. All that is needed to go on with the job after any crash is in
there, under names that begin with a dot, so that a script that looks around or cleans up meets
only what is its own:

``.script``
    what is run, by the interpreter that its first line names, or else by a strict shell
    (``shell``).
``.stdin``, ``.stdout``, ``.stderr``
    its standard streams, those that it has.
``.status``
    first line: the exit status, once there is one. The line is *reserved*, that is, full of
    blanks, until it is overwritten in place by one ``write`` of a line of the same length, which
    parses as an integer. So it is whole or not there, also on a full disk. Below it whose process
    it is: the boot id of the machine, and the line of ``/proc/self/stat`` of the process (proc(5)),
    which tells its id, its start time, and its parent, the supervisor. Process id, start time and
    boot id together name one process only, ever. Below that, why it was told to end, if it was.
    On this machine it is not in the run directory, which the job can write, but beside it in the
    manager's private folder (``journal``), under a name that no other run directory has. So a
    supervisor that comes late may write an entry, which nothing reads, and makes no ``.begun``.
``.made-…``
    an empty file, of another name each time that a directory is made (on this machine).
``.begun``
    an empty file once the process becomes the script, or a directory if it never will.

Who decides that a job runs
    To make the directory is exclusive (``mkdir`` without ``-p``), and so is to make ``.begun`` in
    it. The process writes ``.status``, which has to succeed, makes the file ``.begun`` (``O_EXCL``,
    the shell's ``noclobber``), and becomes the script. Whoever wants to know for certain that a
    directory without it will never run makes a directory of that name (:data:`BEGUN`). Only one of
    them can; either happens at once, takes no room that a full disk might not have, and tells
    afterwards which one it was, whoever is killed when. Where ``.begun`` is a file, ``.status`` is
    whole, so it is to be read in this order. A supervisor that comes late stands in a directory
    that was removed, and can make neither; or it finds the next one of that name, which somebody
    else has made, and sees by ``.made-…`` that this is not the one that it was told of.
The order of things
    The directory is made and filled; then the record of the job is written; then the supervisor
    is started. At the end, what came out is written where it belongs, the record is removed, and
    the directory last. Whenever a driver dies, therefore: no directory and no record, nothing has
    happened yet, or all is over; a directory without a record, the script never ran (not begun),
    all is over (ended, and perhaps half removed), or somebody removed the record (alive: it is put
    back); a record without a directory, somebody removed the directory, and the job is lost; both,
    look into the directory.
    A directory that cannot be removed at the end (files of another user, a mount in it) is a
    *leftover*: the job is over all the same. It gets a name that no job has, with a comma in it, or
    stays where it is if it cannot be renamed either. Opening tries again to remove it.
What a record says
    Records are read from a store that others may write to. So none of them names what is removed,
    read, written or killed: the directory of a job follows from the job alone, and a record that
    names another one is refused. A directory without a record is removed only if it has one of the
    files above, or none at all.
The supervisor
    is a shell: the parent of the job's process, in a session of its own, so that neither the
    driver's end nor a hang-up or Ctrl-C of the driver's terminal reaches it. Those of this machine
    have one job after the other (``supervisors``). The process has a
    session and a process group of its own in turn, so that what ends the group, SIGKILL included,
    leaves the supervisor to write the status. If the supervisor itself is killed, the process
    goes on and is looked after by its identity; only its status is lost.
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
"""The files by which a run directory is known, beside those with :data:`TOKEN_PREFIX`."""

NOT_A_RUN_DIRECTORY = "it has none of the files of a run directory, so it is left as it is"
"""Why a directory is not removed that has something else in it."""

_MAX_NAME_LENGTH = 200
DEFAULT_SHELL = "/bin/sh"

_WIDTH = 7
RESERVED_STATUS = b" " * _WIDTH + b"\n"
"""What a status file begins with before there is a status: as many bytes, and no integer."""

NOT_BEGUN = 125
"""The exit status of a process, and of its supervisor, that did not get as far as the script."""

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

1. ``$0``, a name; the directory to run in; relative to that, where the identity of the process
   goes, what is made when it becomes the script, and where its status goes (``.status``,
   ``.begun`` and ``.status`` for what has a run directory); the boot id;
2. the path of ``setsid``, and the command line of the process;

and with the file descriptors 0 to 2 as the process is to have them. Whoever launches may use 3 and
5; the process does not get them. It ends with 0 if the script ran, whatever that did, or with
:data:`NOT_BEGUN` if it did not: the process was revoked, or had no room to say who it is. A process
whose supervisor is killed before it could say so has another parent, whom nobody should take for
the supervisor, and does not run.

It uses nothing but what the shell has built in. The process group needs ``setsid``, since shells
without a terminal have no job control. A variable of the environment stays one when it is assigned
to, so all have names that nobody else uses.
"""

KEPT_SUPERVISOR = f"""\
{_FUNCTION}
cd /
"""
"""What a supervisor is told first that is to look after one job after the other (``sh -s``).

Then come orders, see :func:`order`. It reads them from descriptor 0, and tells by 3 when it is
through with one: a line with a 0 if the script ran and its status is written, or with another
number if the directory was gone or one of the streams could not be opened, so that it did not run.
In any other case it ends, with the exit status that the supervisor above would have.
"""


def order(
    path: str,
    mark: str,
    boot_id: str,
    command: Sequence[str],
    streams: tuple[str, str, str | None],
    status: str = STATUS,
) -> str:
    """Write the order by which a kept supervisor runs a job.

    :param path: the run directory.
    :param mark: the name of a file in there that no other directory of that name has.
    :param boot_id: the boot id.
    :param command: the path of ``setsid``, and the command line of the process.
    :param streams: where to read stdin from, and what to append stdout and stderr to, as seen from
        the run directory; None is where stdout goes.
    :param status: where the identity and the exit status of the process go.
    """
    stdin, stdout, stderr = streams
    new = [name for name in (stdout, stderr) if name in (STDOUT_FILE, STDERR)]
    made = [STDIN] if stdin == STDIN else []
    if command[-1] == f"{path}/{SCRIPT}":
        made.append(SCRIPT)
    # A link or a FIFO that another process has put there would be followed, or waited for.
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
    """Give the command line by which a script is run.

    As the kernel reads it: the first line names an interpreter and at most one argument. It is
    not left to the kernel, since that refuses a file that anybody has open for writing, if only
    for the moment between fork and exec of another job, and any file of a file system that is
    mounted ``noexec``, as ``/tmp`` may be.

    :param script: the script.
    :param path: where it is on the target.
    :param shell: the command line of the interpreter of a script without such a line.
    """
    first, _, _ = script.partition(b"\n")
    if not first.startswith(b"#!"):
        return [*shell, path]
    words = first[2:].decode("utf-8", "surrogateescape").strip(" \t\r").split(None, 1)
    return [*words, path] if words else [DEFAULT_SHELL, path]


def parse_status(text: bytes) -> int | None:
    """Read an exit status; None if there is none yet.

    :param text: what the file begins with.
    """
    line, end, _ = text.partition(b"\n")
    valid = end and len(line) <= _WIDTH and line.strip().isdigit()
    return int(line) if valid else None


def safe_name(name: str) -> str:
    """Turn a job or an app into the name of a directory, the same for no other.

    :param name: any text.
    """
    if name.isascii() and name.isalnum():
        return name
    from urllib.parse import quote

    quoted = quote(name, safe="")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")


def leftover_name(path: str) -> str:
    """Return another path in the same folder for a run directory that cannot be removed.

    No job has a directory of such a name, because :func:`safe_name` never gives a comma.

    :param path: the path of the directory.
    """
    folder, _, name = path.rpartition("/")
    return f"{folder}/{name[:_MAX_NAME_LENGTH]},{os.urandom(8).hex()}"


def is_leftover(name: str) -> bool:
    """Return whether :func:`leftover_name` has given this name.

    :param name: the name of an entry of a folder of run directories.
    """
    return "," in name


def is_run_file(name: str) -> bool:
    """Return whether a file of this name is a mark of a run directory.

    :param name: the name of a file.
    """
    return name in RUN_FILES or name.startswith(TOKEN_PREFIX)


def original_name(name: str) -> str:
    """Undo :func:`safe_name`."""
    from urllib.parse import unquote

    return unquote(name) if "%" in name else name
