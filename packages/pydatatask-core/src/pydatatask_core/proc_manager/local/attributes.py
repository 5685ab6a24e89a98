"""The attributes of this process that its jobs inherit. Everything here blocks briefly."""

from __future__ import annotations

import os
import resource
import signal
from typing import NamedTuple

__all__ = ["Attributes", "read_attributes"]

_LIMITS = tuple(
    sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
)

_NOT_INHERITED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)
"""Signals that Python ignores itself, or whose default a job needs to wait for its children."""


class Attributes(NamedTuple):
    """The attributes of this process at one time."""

    environ: dict[bytes, bytes]
    umask: int
    ignored: list[int]
    """The ignored signals."""
    limits: dict[int, tuple[int, int]]
    """The soft and hard limits, by resource."""
    fixed: tuple[object, ...]
    """The attributes that a supervisor cannot change for a job."""


def read_attributes() -> Attributes:
    """Return the attributes of this process."""
    limits = {number: resource.getrlimit(number) for number in _LIMITS}
    hard = tuple(limit for _, limit in limits.values())
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    cpus = frozenset(os.sched_getaffinity(0))
    umask, ignored = _read_status()
    identity = (os.geteuid(), os.getegid())
    return Attributes(dict(os.environb), umask, ignored, limits, (hard, nice, cpus, identity))


def _read_status() -> tuple[int, list[int]]:
    """Return the umask and the ignored signals, which have no other query without side effects."""
    with open("/proc/self/status", "rb", buffering=0) as file:
        lines = file.readall().split(b"\n")
    fields = dict(line.split(b":", 1) for line in lines if b":" in line)
    mask = int(fields[b"SigIgn"], 16)
    ignored = [number for number in range(1, mask.bit_length() + 1) if mask >> (number - 1) & 1]
    return int(fields.get(b"Umask", b"022"), 8), [n for n in ignored if n not in _NOT_INHERITED]
