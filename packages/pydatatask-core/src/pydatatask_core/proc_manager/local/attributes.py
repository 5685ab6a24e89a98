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

_NOT_INHERITED = {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD}
"""The signals that Python itself ignores, and the one that a job needs to wait for its children."""

_INHERITED = sorted(signal.valid_signals() - _NOT_INHERITED)
"""Without the internal signals of the C library, which posix_spawn(3) ignores in a new process."""


class Attributes(NamedTuple):
    """The attributes of this process at one time."""

    environ: dict[bytes, bytes]
    umask: int
    ignored: list[int]
    """The ignored signals."""
    limits: dict[int, tuple[int, int]]
    """The soft and hard limits, by resource."""
    nice: int
    """The nice value of the calling thread; Linux has one for each thread."""
    cpus: list[int]
    """The CPUs on which the calling thread may run."""
    fixed: tuple[object, ...]
    """The attributes that a supervisor cannot change for a job."""


def read_attributes() -> Attributes:
    """Return the attributes of this process."""
    limits = {number: resource.getrlimit(number) for number in _LIMITS}
    hard = tuple(limit for _, limit in limits.values())
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    cpus = sorted(os.sched_getaffinity(0))
    umask, ignored = _read_status()
    fixed = (hard, nice, cpus, os.geteuid(), os.getegid())
    return Attributes(_environ(), umask, ignored, limits, nice, cpus, fixed)


def _environ() -> dict[bytes, bytes]:
    # Copying the mapping itself decodes and encodes each variable, which takes ten times as long.
    data = getattr(os.environ, "_data", None)
    return dict(os.environb) if data is None else dict(data)


def _read_status() -> tuple[int, list[int]]:
    """Return the umask and the ignored signals, which have no other query without side effects."""
    with open("/proc/self/status", "rb", buffering=0) as file:
        text = file.readall()
    umask = int(_field(text, b"\nUmask:") or b"022", 8)  # Linux 4.7 or later
    mask = int(_field(text, b"\nSigIgn:"), 16)
    return umask, [int(number) for number in _INHERITED if mask >> (number - 1) & 1]


def _field(text: bytes, name: bytes) -> bytes:
    return text.partition(name)[2].partition(b"\n")[0].strip()
