"""The functions of the remote shell for files that a job may have replaced.

A directory is entered first, and its path is checked afterwards. Only regular files with one link
that belong to the user are opened; GNU ``dd`` refuses links and never blocks when opening.
"""

from __future__ import annotations

from pydatatask_core.proc_manager.process import TAIL_BYTES
from pydatatask_core.proc_manager.protocol.run_directory import BEGUN, RUN_FILES, SCRIPT, STDIN

__all__ = ["FILE_FUNCTIONS", "JOURNAL", "MAX_CONTROL_BYTES"]

JOURNAL = ".journal"
"""The folder inside the manager's folder with the status of each run."""

MAX_CONTROL_BYTES = 4096
"""The maximum number of bytes that are read from a file that is not an output."""

FACTS = "%n %f %h %u %s %b"
"""The attributes of a file that are checked: name, mode, links, owner, size, 512-byte blocks."""

FILE_FUNCTIONS = f"""\
# fill BASE DIR SCRIPT [STDIN]: write the files of a run directory; remove it if that fails
fill() {{
  if fresh "$1" "$2" && printf %s "$3" >"$2/{SCRIPT}" &&
    {{ [ $# -lt 4 ] || printf %s "$4" >"$2/{STDIN}"; }}; then return; fi
  head -c 8192 /dev/zero >"$2/{STDIN}"  # prints the error message
  rm -rf -- "$2"
  return 1
}}

# enter DIR: change to a directory that is not a link; if that fails, stay outside of it
enter() {{
  cd -P -- "${{1%/*}}" 2>/dev/null || return 1
  pdt_run=${{PWD%/}}/${{1##*/}}
  if [ ! -L "$pdt_run" ] && cd -P -- "$pdt_run" 2>/dev/null && [ "$PWD" = "$pdt_run" ]; then
    return 0
  fi
  cd /
  return 1
}}

# content NAME SIZE: report the first bytes of a file
content() {{
  printf '%sD%s %s:' "$pdt_mark" "$1" "$2"
  if [ -n "$pdt_nofollow" ]; then
    dd if="./$1" bs="$2" count=1 iflag=nofollow,nonblock 2>/dev/null
  elif [ -f "./$1" ] && [ ! -L "./$1" ]; then
    head -c "$2" "./$1" 2>/dev/null
  fi
  printf '%s\\n' "$pdt_mark"
}}

# outputs DIR TWIN NAME...: report the attributes of files, and the content of short ones; a file of
# the same name in TWIN may be the same file
outputs() {{
  pdt_twin=$2
  enter "$1" || return 0
  shift 2
  pdt_line=$(stat -c '{FACTS}' -- "$@" 2>/dev/null)
  set -- $pdt_line
  [ $# = 0 ] || emit "F$*"
  while [ $# -ge 6 ]; do
    case $2 in 8???) ;; *) shift 6; continue ;; esac
    if [ $3 = 2 ] && [ "./$1" -ef "$pdt_twin/$1" ] && [ ! -L "$pdt_twin/$1" ]; then
      emit "W$1"
    elif [ $3 != 1 ]; then shift 6; continue
    fi
    if [ "$4" != "$pdt_user" ] || [ "$5" = 0 ]; then :
    elif [ ! -r "./$1" ]; then emit "X$1"
    elif [ "$5" -le {TAIL_BYTES} ]; then content "$1" "$5"
    fi
    shift 6
  done
  cd /
}}

# memo FILE: report the content of a short file of the manager
memo() {{
  [ -f "$1" ] && [ ! -L "$1" ] || return 0
  pdt_line=$(head -c {MAX_CONTROL_BYTES} -- "$1" && echo x) && emit "C${{pdt_line%x}}"
}}

# pin DIR TWIN NAME PLACE: create a second link to a file, out of reach of jobs, and report its
# attributes
pin() {{
  enter "$1" || return 0
  pdt_line=
  [ -d "${{4%/*}}" ] || mkdir -p -m 700 -- "${{4%/*}}"
  if [ -e "./$3" ] || [ -L "./$3" ]; then
    if ln -- "./$3" "$4" 2>/dev/null; then
      pdt_line=$(stat -c '{FACTS}' -- "$4") && emit "K${{pdt_line##*/}}"
      if [ "$4" -ef "$2/$3" ] && [ ! -L "$2/$3" ]; then emit "W$3"; fi
      [ -r "$4" ] || emit "X$3"
    else
      pdt_line=$(stat -c '{FACTS}' -- "./$3") && emit "F${{pdt_line##*/}}"
      if [ "./$3" -ef "$2/$3" ] && [ ! -L "$2/$3" ]; then emit "W$3"; fi
    fi
  fi
  cd /
}}

# points PATH: list mount points at or below a path, which is escaped as in mountinfo
points() {{
  pdt_points=' '
  while read -r _ _ _ _ pdt_point _; do
    case $pdt_point in "$1" | "$1"/*) pdt_points="$pdt_points$pdt_point/ " ;; esac
  done </proc/self/mountinfo
}}

# unlock DIR: grant the owner the permissions to remove the contents of a directory
unlock() {{
  if command -v find >/dev/null; then
    find "$1" -type d -exec chmod u+rwx {{}} \\;
  else
    chmod -R u+rwX -- "$1"
  fi
}}

# scrub PATH...: remove directories regardless of permissions; report those that remain, and why
scrub() {{
  [ $# -gt 0 ] || return 0
  rm -rf -- "$@" 2>/dev/null && return
  for pdt_file; do
    if [ -d "$pdt_file" ] && ! [ -L "$pdt_file" ]; then unlock "$pdt_file" 2>/dev/null; fi
    if ! pdt_text=$(rm -rf -- "$pdt_file" 2>&1 | {{
      head -c {MAX_CONTROL_BYTES}
      cat >/dev/null
    }}) || [ -e "$pdt_file" ] || [ -L "$pdt_file" ]; then
      emit "E$pdt_file"
      emit "W${{pdt_text%%
*}}"
    fi
  done
}}

# clear FOLDER POINT NAME...: remove directories in a folder, unless something is mounted in them
clear() {{
  points "$2" || return 1
  pdt_run=$1 pdt_line=$2
  shift 2
  for pdt_file; do
    shift
    case $pdt_points in
    *" $pdt_line/$pdt_file/"*)
      emit "E$pdt_run/$pdt_file"
      pdt_text=${{pdt_points#*" $pdt_line/$pdt_file/"}}
      emit "M$pdt_line/$pdt_file/${{pdt_text%% *}}"
      ;;
    *) set -- "$@" "$pdt_run/$pdt_file" ;;
    esac
  done
  scrub "$@"
}}

# marked BASE DIR: report if a directory looks like a run directory, is empty, or does not exist
marked() {{
  if [ -L "$2" ] || ! [ -d "$2" ] || [ -e "$1/{JOURNAL}${{2#"$1"}}" ]; then emit K; return; fi
  for pdt_file in {" ".join(RUN_FILES)}; do
    if [ -f "$2/$pdt_file" ]; then emit K; return; fi
  done
  pdt_text=$(ls -A -- "$2" | head -c {MAX_CONTROL_BYTES})
  case $pdt_text in '' | {BEGUN}) emit K ;; esac
  return 0
}}

# archive DIR PLACE FILE...: link files of a run into a private directory; report if that succeeded
archive() {{
  pdt_to=$2
  mkdir -p -m 700 -- "${{pdt_to%/*}}" && mkdir -p -m 700 -- "$pdt_to" && enter "$1" || return
  shift 2
  for pdt_file; do
    rm -f -- "$pdt_to/$pdt_file" && ln -- "./$pdt_file" "$pdt_to/$pdt_file" 2>/dev/null || {{
      cd /
      return 0
    }}
    [ -f "$pdt_to/$pdt_file" ] && [ ! -L "$pdt_to/$pdt_file" ] && [ -O "$pdt_to/$pdt_file" ] || {{
      rm -f -- "$pdt_to/$pdt_file"
      cd /
      echo "\\`$pdt_file\\` is not a regular file any more"
      return 1
    }}
  done
  cd /
  emit K
}}

# copy DIR PLACE FILE...: copy files of a run into a directory, each completely or not at all
copy() {{
  pdt_to=$2
  enter "$1" || return
  shift 2
  for pdt_file; do
    if [ -f "./$pdt_file" ] && [ ! -L "./$pdt_file" ] &&
      cp -P -- "./$pdt_file" "$pdt_to/$pdt_file~" &&
      [ ! -L "$pdt_to/$pdt_file~" ] && mv -f -- "$pdt_to/$pdt_file~" "$pdt_to/$pdt_file"
    then continue; fi
    if [ -e "./$pdt_file" ]; then printf '`%s` cannot be copied\\n' "$pdt_file"
    else ls -- "./$pdt_file"
    fi
    rm -f -- "$pdt_to/$pdt_file~"
    cd /
    return 1
  done
  cd /
}}

# unarchive DIR FILE...: remove the archived files in a directory, and the directory
unarchive() {{
  [ -d "$1" ] && [ ! -L "$1" ] || return 0
  pdt_to=$1
  shift
  for pdt_file; do rm -f -- "$pdt_to/$pdt_file" "$pdt_to/$pdt_file~" || return; done
  rmdir -- "$pdt_to"
}}
"""
"""The functions for files, which are part of the first input of every remote shell."""
