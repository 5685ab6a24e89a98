"""Outcomes of pods. Without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydatatask_core.task.required_outputs import describe_missing

if TYPE_CHECKING:
    from collections.abc import Collection

    from .state import Container

__all__ = ["DISCARDED", "KILLED", "Ending", "killed", "lost", "without_outputs"]

KILLED = "killed"
DISCARDED = "discarded"


@dataclass(frozen=True)
class Ending:
    """The outcome of a pod that has ended or must be stopped.

    :param success: whether it succeeded.
    :param reason: the reason of the failure.
    :param kind: the kind of failure, which becomes a flag of the record.
    :param container: the container that caused the failure, if any.
    :param stays: whether the pod still exists and must be stopped.
    :param missing_outputs: the names of the links to required outputs that a successful pod did not
        write.
    """

    success: bool = False
    reason: str = ""
    kind: str | None = None
    container: Container | None = None
    stays: bool = False
    missing_outputs: tuple[str, ...] = ()

    @property
    def may_be_retried(self) -> bool:
        """True if another attempt is allowed; a lost pod may still be running."""
        return not self.success and self.kind not in ("lost", KILLED, DISCARDED)


def killed(stays: bool = False) -> Ending:
    """Return the outcome of a pod that was killed on request.

    :param stays: whether the pod still exists and must be stopped.
    """
    return Ending(reason="killed on request", kind=KILLED, stays=stays)


def lost(why: str, stays: bool = False) -> Ending:
    """Return the outcome of a pod whose fate is unknown.

    :param why: a description of the evidence.
    :param stays: whether the pod still exists and must be stopped.
    """
    return Ending(reason=f"lost: {why}", kind="lost", stays=stays)


def without_outputs(names: Collection[str]) -> Ending:
    """Return the outcome of a pod that succeeded without writing some of its job's outputs.

    :param names: the names of the links to the outputs.
    """
    return Ending(reason=describe_missing(names), missing_outputs=tuple(sorted(names)))
