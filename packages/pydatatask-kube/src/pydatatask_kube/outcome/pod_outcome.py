"""Outcomes of pods. Without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydatatask_core.task.required_outputs import describe_missing

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydatatask_kube.cluster.pod_state import Container

__all__ = ["DISCARDED", "KILLED", "PodOutcome", "killed", "lost", "without_outputs"]

KILLED = "killed"
DISCARDED = "discarded"


@dataclass(frozen=True)
class PodOutcome:
    """The outcome of a pod that has ended or must be stopped.

    :param success: whether it succeeded.
    :param reason: the reason of the failure.
    :param kind: the kind of failure, which becomes a flag of the record.
    :param container: the container that caused the failure, if any.
    :param still_exists: whether the pod still exists and must be stopped.
    :param missing_outputs: the names of the links to required outputs that a successful pod did not
        write.
    """

    success: bool = False
    reason: str = ""
    kind: str | None = None
    container: Container | None = None
    still_exists: bool = False
    missing_outputs: tuple[str, ...] = ()

    @property
    def is_retryable(self) -> bool:
        """True if another attempt is allowed; a lost pod may still be running."""
        return not self.success and self.kind not in ("lost", KILLED, DISCARDED)


def killed(still_exists: bool = False) -> PodOutcome:
    """Return the outcome of a pod that was killed on request.

    :param still_exists: whether the pod still exists and must be stopped.
    """
    return PodOutcome(reason="killed on request", kind=KILLED, still_exists=still_exists)


def lost(details: str, still_exists: bool = False) -> PodOutcome:
    """Return the outcome of a pod whose fate is unknown.

    :param details: a description of the evidence.
    :param still_exists: whether the pod still exists and must be stopped.
    """
    return PodOutcome(reason=f"lost: {details}", kind="lost", still_exists=still_exists)


def without_outputs(names: Collection[str]) -> PodOutcome:
    """Return the outcome of a pod that succeeded without writing some of its job's outputs.

    :param names: the names of the links to the outputs.
    """
    return PodOutcome(reason=describe_missing(names), missing_outputs=tuple(sorted(names)))
