"""The phases of jobs that outlive the driver."""

from __future__ import annotations

from enum import Enum

__all__ = ["Phase"]


class Phase(Enum):
    """The phase of a job."""

    LAUNCHING = "launching"
    RUNNING = "running"
    EXITED = "ended"
    """It has ended, or was cancelled, and its outcome is not completely recorded yet."""
    TERMINATING = "leaving"
    """Its outcome is recorded, and the resource that ran it is still being deleted."""
    WAITING = "waiting"
    """It waits to be launched again."""
