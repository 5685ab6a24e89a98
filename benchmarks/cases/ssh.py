"""Processes over SSH, on a real server on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.case import OURS, PEAK, SECONDS, Case, Contestant, Size, Target, program, shell

from .scripts import files
from .services import sshd

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.table import Table

__all__ = ["SSH"]

_SIZE = Size(500, 8)
_FEW = 50
_OLD = "pydatatask 0.4.7"
_BY_HAND = "GNU parallel and ssh"
_KEPT = "GNU parallel and ssh, one connection"
_SSH = (
    'ssh -q -F none -p "$BENCH_SSH_PORT" -l "$BENCH_SSH_USER" -i "$BENCH_SSH_KEY" '
    "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
)
_KEPT_SSH = f"{_SSH} -o ControlMaster=auto -o ControlPath=$PWD/c -o ControlPersist=yes"


def _parallel(ssh: str) -> str:
    jobs = f"'{ssh} 127.0.0.1 wc -c <in/{{{{}}}} >out/{{{{}}}}'"
    return f"ls in | parallel --will-cite -j {{at_once}} {jobs}"


def _times(of: str, to: str) -> Callable[[Table], float | None]:
    return lambda table: table.middle_ratio(_SIZE, of, "seconds", to)


def _throughput(table: Table) -> float | None:
    """Return our throughput relative to 0.4.7, which is measured with fewer jobs."""
    ours = table.middle(_SIZE, OURS, "seconds")
    old = table.middle(Size(_FEW, _SIZE.at_once), _OLD, "seconds")
    return (old / _FEW) / (ours / _SIZE.items) if ours and old else None


SSH = Case(
    "ssh",
    "a small script over SSH for each file of a folder, with the file as input; outputs are kept",
    note="Seconds of the whole process, with sshd on the same processors. GNU parallel runs one "
    "`ssh` per job, which logs in, or uses a connection that is kept open. It keeps no "
    "records, and a job ends with its connection.",
    contestants=[
        Contestant(OURS, program("ssh_pydatatask")),
        Contestant(_OLD, program("ssh_pydatatask"), "pydatatask-0.4.7", most=_FEW),
        Contestant(
            _BY_HAND,
            shell(_parallel(_SSH)),
            tool=("parallel", "parallel"),
        ),
        Contestant(
            _KEPT,
            shell(
                f"{_KEPT_SSH} 127.0.0.1 true && {_parallel(_KEPT_SSH)} && "
                f"{_KEPT_SSH} -O exit 127.0.0.1"
            ),
            tool=("parallel", "parallel"),
        ),
    ],
    sizes=[Size(_FEW, 8), _SIZE],
    quick=[Size(20, 8)],
    figures=[SECONDS, PEAK],
    targets=[
        Target(
            f"time relative to GNU parallel with ssh, {_SIZE}, at most 1.5",
            _times(OURS, _BY_HAND),
            most=1.5,
        ),
        Target(f"throughput relative to 0.4.7, {_SIZE}, at least 30", _throughput, least=30),
    ],
    prepare=files,
    rounds=3,
    service=sshd,
)
