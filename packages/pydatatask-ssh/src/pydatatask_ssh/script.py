"""What the helper on the other side knows: functions for a POSIX shell.

A variable of the login's environment stays one when it is assigned to, and jobs get that: so the
names of the helper's own variables are such as nobody else uses.

Each line for us begins with a record separator (0x1e) and a letter that says what it is; any other
line is what a program, or the shell itself, has to say about what went wrong. Nothing that comes
from a file is ever a command, and every word that we send is quoted.
"""

from __future__ import annotations

import shlex

from pydatatask_core.proc_manager.judging import STOP
from pydatatask_core.proc_manager.supervisor import (
    BEGUN,
    MARKS,
    SCRIPT,
    STATUS,
    STDIN,
    SUPERVISOR,
)

__all__ = ["FUNCTIONS", "MARK", "REPORTER", "TELLING_SUPERVISOR", "words"]

MARK = "\x1e"
"""What lines for us begin with."""

TELLING_SUPERVISOR = (
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
tell() {{ printf '{MARK}%s\\n' "$1"; }}
pdt_boot= pdt_tellers={shlex.quote(TELLING_SUPERVISOR)}

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

# identify DIR [TELL]: read a status file
identify() {{
  pdt_count=0 pdt_text= pdt_rest= pdt_first= pdt_second= pdt_third=
  while IFS= read -r pdt_rest; do
    pdt_count=$((pdt_count + 1))
    case $pdt_count in
    1) pdt_first=$pdt_rest ;;
    2) pdt_second=$pdt_rest ;;
    3) pdt_third=$pdt_rest ;;
    esac
    pdt_text="$pdt_text{MARK}S$pdt_rest
"
  done <"$1/{STATUS}"
  set -- ${{pdt_third##*) }}
  pdt_pid=${{pdt_third%% *}} pdt_sup=${{2-}} pdt_begun=${{20-}}
  case $pdt_begun in '' | *[!0-9]*) return 1 ;; esac
}}

# fill DIR SCRIPT [STDIN]: write what a run directory is to hold, or remove it
fill() {{
  if printf %s "$2" >"$1/{SCRIPT}" && {{ [ $# -lt 3 ] || printf %s "$3" >"$1/{STDIN}"; }}; then
    return
  fi
  head -c 8192 /dev/zero >"$1/{STDIN}"  # says why in words
  rm -rf -- "$1"
  return 1
}}

# points PATH: list what is mounted at or below a path, which is written as in mountinfo
points() {{
  pdt_points=' '
  while read -r _ _ _ _ pdt_point _; do
    case $pdt_point in "$1" | "$1"/*) pdt_points="$pdt_points$pdt_point/ " ;; esac
  done </proc/self/mountinfo
}}

# scrub PATH...: remove directories, whatever their permissions; print what is left, and why
scrub() {{
  [ $# -gt 0 ] || return 0
  rm -rf -- "$@" 2>/dev/null && return
  for pdt_file; do
    if [ -d "$pdt_file" ] && ! [ -L "$pdt_file" ]; then
      chmod -R u+rwX -- "$pdt_file" 2>/dev/null
    fi
    if ! pdt_text=$(rm -rf -- "$pdt_file" 2>&1); then
      tell "E$pdt_file"
      tell "W${{pdt_text%%
*}}"
    fi
  done
}}

# clear FOLDER POINT NAME...: remove directories of a folder, unless something is mounted in them
clear() {{
  points "$2" || return 1
  pdt_run=$1 pdt_line=$2
  shift 2
  for pdt_file; do
    shift
    case $pdt_points in
    *" $pdt_line/$pdt_file/"*)
      tell "E$pdt_run/$pdt_file"
      pdt_text=${{pdt_points#*" $pdt_line/$pdt_file/"}}
      tell "M$pdt_line/$pdt_file/${{pdt_text%% *}}"
      ;;
    *) set -- "$@" "$pdt_run/$pdt_file" ;;
    esac
  done
  scrub "$@"
}}

# marked DIR: tell if a directory is a run directory, as far as its files show, or empty, or gone
marked() {{
  if [ -L "$1" ] || ! [ -d "$1" ]; then tell K; return; fi
  for pdt_file in {" ".join(MARKS)}; do
    if [ -f "$1/$pdt_file" ]; then tell K; return; fi
  done
  pdt_text=$(ls -A -- "$1") && case $pdt_text in '' | {BEGUN}) tell K ;; esac
  return 0
}}

# see DIR: read a status file, and tell whether the process lives; fails if it has not ended
see() {{
  pdt_text= pdt_rest= pdt_first= pdt_pid=
  [ -e "$1/{STATUS}" ] || return 0
  identify "$1" || return 0
  case $pdt_first in *[!\\ ]*) return 0 ;; esac
  if lives "$pdt_pid" "$pdt_begun" "$pdt_sup" "$pdt_second"; then return 1; fi
  [ ! -e "$1/{STATUS}" ] || identify "$1" || return 0  # its last word: nobody writes any more
}}

# over DIR NUMBER: tell the number of a run that may have ended, with "-" if it has not begun
over() {{
  [ -L "$1" ] || see "$1" || return 0
  if [ -e "$1/{BEGUN}" ]; then tell "$2"; else tell "$2-"; fi
}}

# revoke DIR: make certain that what was not started never will be, and tell if that is so
revoke() {{
  if mkdir -m 700 -- "$1/{BEGUN}"; then tell K; else [ -e "$1/{BEGUN}" ] || [ ! -d "$1" ]; fi
}}

# look DIR: tell all that is to be seen of a run
look() {{
  if [ -L "$1" ]; then tell N; return; fi
  if [ -d "$1/{BEGUN}" ]; then tell R; elif [ -e "$1/{BEGUN}" ]; then tell Y; fi
  if ! see "$1"; then
    tell L
    {{ read -r pdt_line _ </proc/uptime && tell "A$pdt_line"; }} 2>/dev/null
  fi
  printf '%s' "$pdt_text"
  [ -z "$pdt_rest" ] || tell "U$pdt_rest"
  if [ -e "$1/{STATUS}" ]; then :
  elif ! [ -d "$1" ]; then tell N
  elif ! [ -x "$1" ]; then ls -- "$1/." >/dev/null
  fi
}}

# written DIR: tell when the status file of a run was written
written() {{ [ ! -e "$1/{STATUS}" ] || stat -c '{MARK}M%Y %y' -- "$1/{STATUS}"; }}

# clock FILE: write a file, and tell the time of that, and for how long we had been up by then
clock() {{
  true >"$1" && read -r pdt_line _ </proc/uptime && tell "U$pdt_line" &&
    stat -c '{MARK}M%Y %y' -- "$1"
}}

# archive DIR PLACE FILE...: link files of a run into a private directory, and tell if that worked
archive() {{
  pdt_from=$1 pdt_to=$2
  shift 2
  mkdir -p -m 700 -- "${{pdt_to%/*}}" && mkdir -p -m 700 -- "$pdt_to" || return
  for pdt_file; do
    rm -f -- "$pdt_to/$pdt_file" || return
    ln -- "$pdt_from/$pdt_file" "$pdt_to/$pdt_file" 2>/dev/null || return 0
  done
  tell K
}}

# copy DIR PLACE FILE...: copy files of a run into a directory, each whole or not at all
copy() {{
  pdt_from=$1 pdt_to=$2
  shift 2
  for pdt_file; do
    if cp -- "$pdt_from/$pdt_file" "$pdt_to/$pdt_file~" &&
      mv -f -- "$pdt_to/$pdt_file~" "$pdt_to/$pdt_file"; then continue; fi
    rm -f -- "$pdt_to/$pdt_file~"
    return 1
  done
}}

# unarchive DIR FILE...: remove what is archived in a directory, and the directory
unarchive() {{
  [ -d "$1" ] || return 0
  pdt_to=$1
  shift
  for pdt_file; do rm -f -- "$pdt_to/$pdt_file" "$pdt_to/$pdt_file~" || return; done
  rmdir -- "$pdt_to"
}}

# now: tell the time of the machine's clock
now() {{ date '+{MARK}T%s'; }}

# begins LENGTH FILE...: tell, as hexadecimal numbers, the bytes that files begin with
begins() {{
  pdt_length=$1
  shift
  for pdt_file; do
    if [ -s "$pdt_file" ] && pdt_text=$(od -An -v -tx1 -N "$pdt_length" "$pdt_file"); then
      set -- $pdt_text
      tell "D$*"
    elif ! [ -e "$pdt_file" ]; then tell D-
    elif [ -s "$pdt_file" ]; then return 1
    else tell D
    fi
  done
}}

# sizes FILE...: tell how long those are that exist
sizes() {{
  for pdt_file; do
    if ! [ -e "$pdt_file" ]; then tell Z-
    elif [ -s "$pdt_file" ]; then stat -c '{MARK}Z%s' -- "$pdt_file"
    else tell Z0
    fi
  done
}}

# strike SIGNAL PID START SUPERVISOR BOOT: signal a process and its whole group, if it lives
strike() {{
  lives "$2" "$3" "$4" "$5" || return 0
  if kill -s "$1" -- "-$2" 2>/dev/null || kill -s "$1" "$2" 2>/dev/null; then tell K; fi
}}

# note DIR REASON: note why a run is told to end, never in the first line
note() {{ [ ! -d "$1" ] || printf '\\n{STOP.decode()}%s\\n' "$2" >>"$1/{STATUS}"; }}

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

# begin BOOT-ID: tell who we are, and what is missing here
begin() {{
  IFS= read -r pdt_boot <"$1" || pdt_boot=
  for pdt_tool in chmod date env head id ls mkdir od rm setsid sleep stat tail uname; do
    command -v "$pdt_tool" >/dev/null || tell "X$pdt_tool"
  done
  pdt_setsid=$(command -v setsid) pdt_env=$(command -v env) pdt_detach=
  stat_of $$ || tell X/proc
  if setsid -f true 2>/dev/null; then pdt_detach=-f; fi
  pdt_machine=
  [ ! -r /etc/machine-id ] || IFS= read -r pdt_machine </etc/machine-id
  tell "B$pdt_boot"
  tell "P$$ $pdt_start"
  tell "I$(id -u)"
  tell "F$pdt_detach"
  case $(command -v bash) in
  /*) tell "H$(command -v bash)" ;;
  esac
  tell "G$pdt_machine$(uname -n)"
}}
"""
"""What every helper is taught when it begins."""

REPORTER = """\
tail -c +{start} -F -- {ends} 2>/dev/null &
while IFS= read -r line; do :; done
kill $!
"""
"""A helper that tells of the lines that are added to a file, until its own stdin ends."""


def words(*arguments: object) -> str:
    """Give arguments as words of a shell command.

    :param arguments: anything.
    """
    return " ".join(shlex.quote(str(argument)) for argument in arguments)
