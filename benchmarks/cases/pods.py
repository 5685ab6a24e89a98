"""Pods on a real single-node cluster on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.case import OURS, PEAK, SECONDS, Case, Contestant, Figure, Size, Target, program

from .scripts import files
from .services import kubernetes

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.table import Table

__all__ = ["PODS"]

_SIZE = Size(100, 20)
_OLD = "pydatatask 0.4.7"
_ALONE = "kubernetes_asyncio alone"


def _times(key: str, to: str) -> Callable[[Table], float | None]:
    return lambda table: table.middle_ratio(_SIZE, OURS, key, to)


PODS = Case(
    "pods",
    "a short pod for each file of a folder; logs and records are kept",
    note="Seconds from the first request to the end of the last job, with the whole cluster on "
    "the same processors: the kubelet limits the speed. Requests are those about pods in the audit "
    "log of the API server; reads are all requests except creations, logs and deletions, of which "
    "each pod needs one. `alone` is a minimal program that creates pods, watches them, reads their "
    "logs and deletes them; it cannot resume after it is interrupted.",
    contestants=[
        Contestant(OURS, program("pods_pydatatask")),
        Contestant(_OLD, program("pods_pydatatask"), "pydatatask-0.4.7"),
        Contestant(_ALONE, program("pods_alone")),
    ],
    sizes=[_SIZE],
    quick=[Size(5, 5)],
    figures=[
        SECONDS,
        Figure("requests", "requests", digits=0),
        *(Figure(key, key, digits=0) for key in ("create", "log", "delete", "reads")),
        PEAK,
    ],
    targets=[
        Target(
            f"time relative to the client library alone, {_SIZE}, at most 1.1",
            _times("seconds", _ALONE),
            most=1.1,
        ),
        Target(
            f"requests relative to 0.4.7, {_SIZE}, at most 0.1",
            _times("requests", _OLD),
            most=0.1,
        ),
        Target(f"reads relative to 0.4.7, {_SIZE}, at most 0.1", _times("reads", _OLD), most=0.1),
    ],
    prepare=files,
    rounds=3,
    service=kubernetes,
)
