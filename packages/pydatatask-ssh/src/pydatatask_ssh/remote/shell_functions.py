"""The functions of the remote shell, for any POSIX shell.

Assigning to a variable of the login's environment changes it for the jobs as well, so the remote
shell's own variables have distinctive names.

Each request contains a random mark (``answers``). Each part of its answer stands between two such
marks and begins with a letter for its kind; any other output is an error message of a program or of
the shell itself. The content of a file is never executed as a command, and every word of a request
is quoted.

The status of a run is in the *journal*: ``.journal/PATH`` in the manager's folder for the run
directory ``PATH``. The supervisor writes it. A job in a container with only its run directory
cannot access it.
"""

from __future__ import annotations

import shlex

from pydatatask_core.proc_manager.protocol.run_directory import BEGUN, STATUS
from pydatatask_core.proc_manager.protocol.status import STOP_PREFIX

from .shell_file_functions import FILE_FUNCTIONS, JOURNAL, MAX_CONTROL_BYTES
from .supervisor import SUPERVISOR

__all__ = ["FUNCTIONS", "REPORTER", "REPORTING_SUPERVISOR", "shell_join"]

MAX_STATUS_LINES = 64
"""The maximum number of lines that are read from a status."""

REPORTING_SUPERVISOR = (
    """\
pydatatask_ends=$1 pydatatask_run=$2
shift 2
trap '{
  pydatatask_code=$? pydatatask_uptime=
  read -r pydatatask_uptime _ </proc/uptime
  printf "%s %s %s\\n" $pydatatask_code "$pydatatask_uptime" "$pydatatask_run" >>"$pydatatask_ends"
} 2>/dev/null' EXIT
"""
    + SUPERVISOR
)
"""The supervisor, which also appends a line to a file when it exits.

The line consists of its exit status, the uptime of the machine in seconds, and a word. The first
two arguments are the file and the word; the arguments of the supervisor follow.
"""

FUNCTIONS = f"""\
set -f
emit() {{ printf '%s%s%s\\n' "$pdt_mark" "$1" "$pdt_mark"; }}
pdt_boot= pdt_tellers={shlex.quote(REPORTING_SUPERVISOR)}

# stat_of PID: read the state, parent and start of a process; fail if it does not exist
stat_of() {{
  case $1 in '' | *[!0-9]*) return 1 ;; esac
  {{ IFS= read -r pdt_line <"/proc/$1/stat"; }} 2>/dev/null || return 1
  set -- ${{pdt_line##*) }}
  pdt_state=$1 pdt_parent=$2 pdt_start=${{20}}
}}

# lives PID START SUPERVISOR BOOT: succeed if a process or its supervisor is alive
lives() {{
  [ "$4" = "$pdt_boot" ] || return 1
  if stat_of "$3" && [ "$pdt_start" -le "$2" ]; then
    case $pdt_state in [ZXx]) ;; *) return 0 ;; esac
  fi
  stat_of "$1" && [ "$pdt_start" -eq "$2" ] && case $pdt_state in [ZXx]) false ;; esac
}}

# find_status BASE DIR: find the file with the status of a run: in the journal, which jobs cannot
# access; a run of an earlier release has it in its directory, and a bounded copy of it is used
find_status() {{
  pdt_journal=$1/{JOURNAL}${{2#"$1"}} pdt_earlier=
  pdt_found=$pdt_journal
  [ ! -e "$pdt_journal" ] || return 0
  [ -f "$2/{STATUS}" ] && [ ! -L "$2/{STATUS}" ] && [ ! -L "$2" ] || return 1
  pdt_earlier=$2 pdt_found=$1/{JOURNAL}/,$$
  head -c {MAX_CONTROL_BYTES} -- "$2/{STATUS}" >"$pdt_found"
}}

# identify: read the status that was found; fail if it does not identify a process
identify() {{
  pdt_count=0 pdt_text= pdt_rest= pdt_first= pdt_second= pdt_third= pdt_pid=
  while IFS= read -r pdt_rest; do
    pdt_count=$((pdt_count + 1))
    case $pdt_count in
    1) pdt_first=$pdt_rest ;;
    2) pdt_second=$pdt_rest ;;
    3) pdt_third=$pdt_rest ;;
    {MAX_STATUS_LINES}) break ;;
    esac
    pdt_text="$pdt_text$pdt_rest
"
  done <"$pdt_found"
  pdt_text=$pdt_text$pdt_rest
  set -- ${{pdt_third##*) }}
  pdt_sup=${{2-}} pdt_begun=${{20-}}
  case $pdt_begun in '' | *[!0-9]*) return 1 ;; esac
  case ${{pdt_third%% *}} in '' | *[!0-9]*) return 1 ;; esac
  pdt_pid=${{pdt_third%% *}}
}}

# tied: succeed if the kernel confirms that the identified process was started in its run directory;
# an identity from the journal needs no confirmation
tied() {{
  [ -z "$pdt_earlier" ] || [ "/proc/$pdt_pid/cwd" -ef "$pdt_earlier" ] || {{
    stat_of "$pdt_pid" && [ "$pdt_parent" = "$pdt_sup" ] &&
      [ "/proc/$pdt_sup/cwd" -ef "$pdt_earlier" ]
  }}
}}

# see BASE DIR: read the status of a run; fail if its process is alive
see() {{
  pdt_text= pdt_first= pdt_pid=
  find_status "$1" "$2" && identify || return 0
  case $pdt_first in *[!\\ ]*) return 0 ;; esac
  if lives "$pdt_pid" "$pdt_begun" "$pdt_sup" "$pdt_second" && tied; then return 1; fi
  if find_status "$1" "$2"; then identify; fi  # the final status, after the last writer has died
  return 0
}}

# over BASE DIR NUMBER: report the number of a run that may have ended, with "-" if it never began
over() {{
  see "$1" "$2" || return 0
  if [ -n "$pdt_pid" ] || [ -e "$2/{BEGUN}" ]; then emit "$3"; else emit "$3-"; fi
}}

# revoke DIR: ensure that a script not started by now never will be, and report if that succeeded
revoke() {{
  if [ -L "$1" ]; then return; fi
  if mkdir -m 700 -- "$1/{BEGUN}"; then emit K; else [ -e "$1/{BEGUN}" ] || [ ! -d "$1" ]; fi
}}

# look BASE DIR: report the observable state of a run
look() {{
  if [ -L "$2" ]; then emit Pl
  elif [ -d "$2/{BEGUN}" ]; then emit R
  elif [ -e "$2/{BEGUN}" ]; then emit Y
  fi
  if ! see "$1" "$2"; then
    emit L
    {{ read -r pdt_line _ </proc/uptime && emit "A$pdt_line"; }} 2>/dev/null
  fi
  [ -z "$pdt_text" ] || emit "S$pdt_text"
  if [ -L "$2" ]; then :
  elif ! [ -e "$2" ]; then emit N
  elif ! [ -d "$2" ]; then emit Pf
  elif [ -x "$2" ]; then :
  elif [ -O "$2" ]; then emit Pd
  else ls -- "$2/." >/dev/null
  fi
}}

# written BASE DIR: report the modification time of the status of a run
written() {{
  find_status "$1" "$2" || return 0
  [ -z "$pdt_earlier" ] || pdt_found=$2/{STATUS}
  pdt_line=$(stat -c '%Y %y' -- "$pdt_found") && emit "M$pdt_line"
}}

# fresh BASE DIR: prepare the journal of a run directory that was just created
fresh() {{
  pdt_journal=$1/{JOURNAL}${{2#"$1"}}
  [ -d "${{pdt_journal%/*}}" ] || mkdir -p -m 700 -- "${{pdt_journal%/*}}" || return
  [ ! -e "$pdt_journal" ] || rm -f -- "$pdt_journal"
}}

# note BASE DIR REASON: save the reason of a termination, never in the first line
note() {{
  [ -d "$2" ] || return 0
  if find_status "$1" "$2"; then [ -z "$pdt_earlier" ] || pdt_found=$2/{STATUS}; fi
  printf '\\n{STOP_PREFIX.decode()}%s\\n' "$3" >>"$pdt_found"
}}

# strike SIGNAL PID START SUPERVISOR BOOT: signal a process and its whole group, if it is alive
strike() {{
  lives "$2" "$3" "$4" "$5" || return 0
  if stat_of "$2" && [ "$pdt_start" != "$3" ]; then return 0; fi  # its process id was reused
  if kill -s "$1" -- "-$2" 2>/dev/null || kill -s "$1" "$2" 2>/dev/null; then emit K; fi
}}

# fence PID START: kill a remote shell of a lost connection, so that it executes nothing any more
fence() {{
  stat_of "$1" && [ "$pdt_start" = "$2" ] || return 0
  kill -s KILL -- "-$1" 2>/dev/null || kill -s KILL "$1"
  pdt_tries=0
  while stat_of "$1" && [ "$pdt_start" = "$2" ] && [ "$pdt_state" != Z ]; do
    pdt_tries=$((pdt_tries + 1))
    [ $pdt_tries -lt 500 ] || return 1
    sleep 0.01 || sleep 1
  done
}}

# now: report the time of the machine's clock
now() {{ pdt_line=$(date '+%s') && emit "T$pdt_line"; }}

# clock FILE: write a file, and report its modification time and the uptime at that time
clock() {{
  true >"$1" && read -r pdt_line _ </proc/uptime && emit "U$pdt_line" &&
    pdt_line=$(stat -c '%Y %y' -- "$1") && emit "M$pdt_line"
}}

# sizes FILE...: report the sizes of files, or "-" for missing ones
sizes() {{
  for pdt_file; do
    if ! [ -e "$pdt_file" ]; then emit Z-
    elif [ -s "$pdt_file" ]; then pdt_line=$(stat -c '%s' -- "$pdt_file") && emit "Z$pdt_line"
    else emit Z0
    fi
  done
}}

# begin BOOT-ID: report the properties of the machine, and missing programs
begin() {{
  IFS= read -r pdt_boot <"$1" || pdt_boot=
  for pdt_tool in chmod date env head id ls mkdir rm setsid sleep stat tail uname; do
    command -v "$pdt_tool" >/dev/null || emit "X$pdt_tool"
  done
  pdt_setsid=$(command -v setsid) pdt_env=$(command -v env) pdt_detach= pdt_nofollow=
  stat_of $$ || emit X/proc
  if setsid -f true 2>/dev/null; then pdt_detach=-f; fi
  if dd if=/dev/null iflag=nofollow,nonblock count=0 2>/dev/null; then pdt_nofollow=1; fi
  pdt_machine=
  [ ! -r /etc/machine-id ] || IFS= read -r pdt_machine </etc/machine-id
  pdt_user=$(id -u)
  emit "B$pdt_boot"
  emit "P$$ $pdt_start"
  emit "I$pdt_user"
  emit "F$pdt_detach"
  case $(command -v bash) in
  /*) emit "H$(command -v bash)" ;;
  esac
  emit "G$pdt_machine$(uname -n)"
}}
{FILE_FUNCTIONS}"""
"""The first input of every remote shell."""

REPORTER = """\
tail -c +{start} -F -- {ends} 2>/dev/null &
while IFS= read -r line; do :; done
kill $!
"""
"""A command that prints the lines appended to a file, until its own stdin ends."""


def shell_join(*arguments: object) -> str:
    """Return arguments as quoted words of a shell command.

    :param arguments: objects, converted with ``str``.
    """
    return " ".join(shlex.quote(str(argument)) for argument in arguments)
