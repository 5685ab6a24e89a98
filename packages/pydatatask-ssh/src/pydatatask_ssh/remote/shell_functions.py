"""What the helper on the other side knows: functions for a POSIX shell.

A variable of the login's environment stays one when it is assigned to, and jobs get that: so the
names of the helper's own variables are such as nobody else uses.

Each request names a mark that cannot be guessed (``answers``). Each part of its answer stands
between two such marks and begins with a letter for its kind; anything else is a message of a
program, or of the shell itself, about an error. No content of a file is ever a command, and every
word of a request is quoted.

The status of a run is in the *journal*: ``.journal/PATH`` in the manager's folder for the run
directory ``PATH``. A job in a container with only its run directory does not reach it. The
supervisor writes it.
"""

from __future__ import annotations

import shlex

from pydatatask_core.proc_manager.protocol.run_directory import BEGUN, STATUS, SUPERVISOR
from pydatatask_core.proc_manager.protocol.status import STOP_PREFIX

from .shell_file_functions import FILE_FUNCTIONS, JOURNAL, MAX_CONTROL_BYTES

__all__ = ["FUNCTIONS", "REPORTER", "REPORTING_SUPERVISOR", "shell_join"]

MAX_STATUS_LINES = 64
"""How many lines of a status are read at most."""

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
"""The supervisor of the core, which at its end adds a line to a file, for whoever reads that.

The line is its exit status, how long the machine had been up then, in seconds, and a word. Its
first two arguments are the file and the word; then come those of the core's.
"""

FUNCTIONS = f"""\
set -f
tell() {{ printf '%s%s%s\\n' "$pdt_mark" "$1" "$pdt_mark"; }}
pdt_boot= pdt_tellers={shlex.quote(REPORTING_SUPERVISOR)}

# stat_of PID: the state, parent and start of a process; fails if there is none
stat_of() {{
  case $1 in '' | *[!0-9]*) return 1 ;; esac
  {{ IFS= read -r pdt_line <"/proc/$1/stat"; }} 2>/dev/null || return 1
  set -- ${{pdt_line##*) }}
  pdt_state=$1 pdt_parent=$2 pdt_start=${{20}}
}}

# lives PID START SUPERVISOR BOOT: whether a process or its supervisor does
lives() {{
  [ "$4" = "$pdt_boot" ] || return 1
  if stat_of "$3" && [ "$pdt_start" -le "$2" ]; then
    case $pdt_state in [ZXx]) ;; *) return 0 ;; esac
  fi
  stat_of "$1" && [ "$pdt_start" -eq "$2" ] && case $pdt_state in [ZXx]) false ;; esac
}}

# find_status BASE DIR: find the file with the status of a run: in the journal, which jobs cannot
# reach; a run of an earlier release has it in its directory, of which a bounded copy is taken
find_status() {{
  pdt_journal=$1/{JOURNAL}${{2#"$1"}} pdt_earlier=
  pdt_found=$pdt_journal
  [ ! -e "$pdt_journal" ] || return 0
  [ -f "$2/{STATUS}" ] && [ ! -L "$2/{STATUS}" ] && [ ! -L "$2" ] || return 1
  pdt_earlier=$2 pdt_found=$1/{JOURNAL}/,$$
  head -c {MAX_CONTROL_BYTES} -- "$2/{STATUS}" >"$pdt_found"
}}

# identify: read the status that was found; fails if it does not name a process
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

# tied: whether the process that was identified was started in its run directory, as the kernel has
# it; where the journal says which process it is, nothing else counts
tied() {{
  [ -z "$pdt_earlier" ] || [ "/proc/$pdt_pid/cwd" -ef "$pdt_earlier" ] || {{
    stat_of "$pdt_pid" && [ "$pdt_parent" = "$pdt_sup" ] &&
      [ "/proc/$pdt_sup/cwd" -ef "$pdt_earlier" ]
  }}
}}

# see BASE DIR: read the status of a run; fails if its process lives
see() {{
  pdt_text= pdt_first= pdt_pid=
  find_status "$1" "$2" && identify || return 0
  case $pdt_first in *[!\\ ]*) return 0 ;; esac
  if lives "$pdt_pid" "$pdt_begun" "$pdt_sup" "$pdt_second" && tied; then return 1; fi
  if find_status "$1" "$2"; then identify; fi  # its last word: nobody writes any more
  return 0
}}

# over BASE DIR NUMBER: tell the number of a run that may have ended, with "-" if it has not begun
over() {{
  see "$1" "$2" || return 0
  if [ -n "$pdt_pid" ] || [ -e "$2/{BEGUN}" ]; then tell "$3"; else tell "$3-"; fi
}}

# revoke DIR: make certain that what was not started never will be, and tell if that is so
revoke() {{
  if [ -L "$1" ]; then return; fi
  if mkdir -m 700 -- "$1/{BEGUN}"; then tell K; else [ -e "$1/{BEGUN}" ] || [ ! -d "$1" ]; fi
}}

# look BASE DIR: tell all that is to be seen of a run
look() {{
  if [ -L "$2" ]; then tell Pl
  elif [ -d "$2/{BEGUN}" ]; then tell R
  elif [ -e "$2/{BEGUN}" ]; then tell Y
  fi
  if ! see "$1" "$2"; then
    tell L
    {{ read -r pdt_line _ </proc/uptime && tell "A$pdt_line"; }} 2>/dev/null
  fi
  [ -z "$pdt_text" ] || tell "S$pdt_text"
  if [ -L "$2" ]; then :
  elif ! [ -e "$2" ]; then tell N
  elif ! [ -d "$2" ]; then tell Pf
  elif [ -x "$2" ]; then :
  elif [ -O "$2" ]; then tell Pd
  else ls -- "$2/." >/dev/null
  fi
}}

# written BASE DIR: tell when the status of a run was written
written() {{
  find_status "$1" "$2" || return 0
  [ -z "$pdt_earlier" ] || pdt_found=$2/{STATUS}
  pdt_line=$(stat -c '%Y %y' -- "$pdt_found") && tell "M$pdt_line"
}}

# fresh BASE DIR: prepare the journal of a run directory that was just made
fresh() {{
  pdt_journal=$1/{JOURNAL}${{2#"$1"}}
  [ -d "${{pdt_journal%/*}}" ] || mkdir -p -m 700 -- "${{pdt_journal%/*}}" || return
  [ ! -e "$pdt_journal" ] || rm -f -- "$pdt_journal"
}}

# note BASE DIR REASON: note why a run is told to end, never in the first line
note() {{
  [ -d "$2" ] || return 0
  if find_status "$1" "$2"; then [ -z "$pdt_earlier" ] || pdt_found=$2/{STATUS}; fi
  printf '\\n{STOP_PREFIX.decode()}%s\\n' "$3" >>"$pdt_found"
}}

# strike SIGNAL PID START SUPERVISOR BOOT: signal a process and its whole group, if it lives
strike() {{
  lives "$2" "$3" "$4" "$5" || return 0
  if stat_of "$2" && [ "$pdt_start" != "$3" ]; then return 0; fi  # another process has its number
  if kill -s "$1" -- "-$2" 2>/dev/null || kill -s "$1" "$2" 2>/dev/null; then tell K; fi
}}

# fence PID START: have a helper that we have lost do nothing any more
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

# now: tell the time of the machine's clock
now() {{ pdt_line=$(date '+%s') && tell "T$pdt_line"; }}

# clock FILE: write a file, and tell the time of that, and for how long we had been up by then
clock() {{
  true >"$1" && read -r pdt_line _ </proc/uptime && tell "U$pdt_line" &&
    pdt_line=$(stat -c '%Y %y' -- "$1") && tell "M$pdt_line"
}}

# sizes FILE...: tell how long those are that exist
sizes() {{
  for pdt_file; do
    if ! [ -e "$pdt_file" ]; then tell Z-
    elif [ -s "$pdt_file" ]; then pdt_line=$(stat -c '%s' -- "$pdt_file") && tell "Z$pdt_line"
    else tell Z0
    fi
  done
}}

# begin BOOT-ID: tell who we are, and what is missing here
begin() {{
  IFS= read -r pdt_boot <"$1" || pdt_boot=
  for pdt_tool in chmod date env head id ls mkdir rm setsid sleep stat tail uname; do
    command -v "$pdt_tool" >/dev/null || tell "X$pdt_tool"
  done
  pdt_setsid=$(command -v setsid) pdt_env=$(command -v env) pdt_detach= pdt_nofollow=
  stat_of $$ || tell X/proc
  if setsid -f true 2>/dev/null; then pdt_detach=-f; fi
  if dd if=/dev/null iflag=nofollow,nonblock count=0 2>/dev/null; then pdt_nofollow=1; fi
  pdt_machine=
  [ ! -r /etc/machine-id ] || IFS= read -r pdt_machine </etc/machine-id
  pdt_user=$(id -u)
  tell "B$pdt_boot"
  tell "P$$ $pdt_start"
  tell "I$pdt_user"
  tell "F$pdt_detach"
  case $(command -v bash) in
  /*) tell "H$(command -v bash)" ;;
  esac
  tell "G$pdt_machine$(uname -n)"
}}
{FILE_FUNCTIONS}"""
"""What every helper is taught when it begins."""

REPORTER = """\
tail -c +{start} -F -- {ends} 2>/dev/null &
while IFS= read -r line; do :; done
kill $!
"""
"""A helper that tells of the lines that are added to a file, until its own stdin ends."""


def shell_join(*arguments: object) -> str:
    """Give arguments as words of a shell command.

    :param arguments: anything.
    """
    return " ".join(shlex.quote(str(argument)) for argument in arguments)
