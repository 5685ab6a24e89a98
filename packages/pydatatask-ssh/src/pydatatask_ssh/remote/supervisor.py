"""The supervisor of a job on another machine, which is a shell.

It is the parent of the job's process, in a session of its own, so that neither the end of the
connection nor a hang-up reaches it. The process has its own session and process group in turn, so
that a signal to the group, even SIGKILL, leaves the supervisor alive to write the status. If the
supervisor itself is killed, the process continues and is monitored by its identity; only its status
is lost.
"""

from __future__ import annotations

from pydatatask_core.proc_manager.protocol.run_directory import STATUS_WIDTH

__all__ = ["NOT_BEGUN", "SUPERVISOR"]

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
    printf '%{STATUS_WIDTH}s\\n%s\\n%s\\n' '' "$pdt_boot" "$pdt_process" >"$pdt_journal" ||
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
  printf '%{STATUS_WIDTH}d\\n' $pdt_result 1<>"$pdt_status" || exit 0
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
