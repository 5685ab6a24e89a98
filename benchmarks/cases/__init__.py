"""The cases of the benchmark, grouped by module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .chain import CHAIN
from .drivers import LARGE_DRIVER, MEMORY
from .executors import EXECUTORS
from .latency import LATENCY
from .mongo import MONGO
from .pods import PODS
from .s3 import S3_LARGE, S3_SMALL
from .scripts import NOTHING, SCRIPTS
from .ssh import SSH
from .start import COMMAND, IMPORT

if TYPE_CHECKING:
    from harness.case import Case

__all__ = ["CASES"]

_ALL = (
    *(CHAIN, SCRIPTS, NOTHING, LATENCY, MEMORY, LARGE_DRIVER),
    *(IMPORT, COMMAND, S3_SMALL, S3_LARGE, MONGO, SSH, PODS, EXECUTORS),
)
CASES: dict[str, Case] = {case.name: case for case in _ALL}
"""All cases by name, in the order of their execution."""
