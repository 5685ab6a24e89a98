"""Outcomes of pods. Without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydatatask_core.task.detached.recorder import KILLED

if TYPE_CHECKING:
    from pydatatask_kube.cluster.pod_state import Container

__all__ = ["DISCARDED", "KILLED_KIND", "PodOutcome", "killed", "lost"]

KILLED_KIND = "killed"
DISCARDED = "discarded"


@dataclass(frozen=True)
class PodOutcome:
    """The outcome of a pod that has ended or must be stopped.

    :param success: whether it succeeded.
    :param reason: the reason of the failure.
    :param kind: the kind of failure, which becomes a flag of the record.
    :param container: the container that caused the failure, if any.
    :param still_exists: whether the pod still exists and must be stopped.
    """

    success: bool = False
    reason: str = ""
    kind: str | None = None
    container: Container | None = None
    still_exists: bool = False


def killed(still_exists: bool = False) -> PodOutcome:
    """Return the outcome of a pod that was killed on request.

    :param still_exists: whether the pod still exists and must be stopped.
    """
    return PodOutcome(reason=KILLED, kind=KILLED_KIND, still_exists=still_exists)


def lost(details: str, still_exists: bool = False) -> PodOutcome:
    """Return the outcome of a pod whose fate is unknown.

    :param details: a description of the evidence.
    :param still_exists: whether the pod still exists and must be stopped.
    """
    return PodOutcome(reason=f"lost: {details}", kind="lost", still_exists=still_exists)
