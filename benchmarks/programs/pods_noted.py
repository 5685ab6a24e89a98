"""Settings of the pods, and the count of requests about pods in the audit log."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CPU", "IMAGE", "NAMESPACE", "measured"]

NAMESPACE = "default"
CPU = 10
"""Thousandths of a processor that each pod requests."""

IMAGE = os.environ.get("BENCH_KUBE_IMAGE", "")
_AUDIT = Path(os.environ.get("BENCH_KUBE_AUDIT", "audit.log"))
_ONCE = ("create", "log", "delete")
_PAUSE = 0.5
"""Seconds to wait for the last entry of the audit log, which is written after the response."""


@contextmanager
def measured() -> Iterator[None]:
    """Print the seconds of a block, and the number of requests logged during it, by kind."""
    before, began = _noted(), time.perf_counter()
    yield
    seconds = time.perf_counter() - began
    time.sleep(_PAUSE)
    counts = Counter(_noted())
    counts.subtract(before)
    once = {kind: counts[kind] for kind in _ONCE}
    total = counts.total()
    told = {"seconds": seconds, "requests": total, "reads": total - sum(once.values())}
    print(json.dumps(told | once))


def _noted() -> Counter[str]:
    """Count requests by kind; a long request, such as a watch, has two entries and counts once."""
    kinds = {}
    with _AUDIT.open() as lines:
        for line in lines:
            event = json.loads(line)
            about = event.get("objectRef", {})
            kinds[event["auditID"]] = about.get("subresource") or event["verb"]
    return Counter(kinds.values())
