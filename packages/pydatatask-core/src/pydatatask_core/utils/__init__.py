"""Streams and small asyncio helpers that all layers use.

This is the lowest layer: it does not depend on jobs, repositories or tasks.
"""

from __future__ import annotations

from .asyncio import (
    being_cancelled,
    cancel_and_wait,
    roundrobin,
    run_concurrently,
    run_to_completion,
)
from .backoff import Backoff
from .copy import async_copyfile, async_copyfile_str
from .owner import OwnerTask
from .signals import signal_name
from .streams import AAbortable, AReadStream, AWriteStream, ReadStream, WriteStream
from .text import AReadText, AWriteText
from .threads import in_thread, run_blocking
from .writer import AtomicWriter

__all__ = [
    "AAbortable",
    "AReadStream",
    "AReadText",
    "AWriteStream",
    "AWriteText",
    "AtomicWriter",
    "Backoff",
    "OwnerTask",
    "ReadStream",
    "WriteStream",
    "async_copyfile",
    "async_copyfile_str",
    "being_cancelled",
    "cancel_and_wait",
    "in_thread",
    "roundrobin",
    "run_blocking",
    "run_concurrently",
    "run_to_completion",
    "signal_name",
]
