"""What may become of a pod. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .state import Container

__all__ = ["DISCARDED", "KILLED", "Ending", "killed", "lost"]

KILLED = "killed"
DISCARDED = "discarded"


@dataclass(frozen=True)
class Ending:
    """How a pod has ended, or why it is to be ended.

    :param success: whether it did what it was to do.
    :param reason: what happened, if not.
    :param kind: the kind of failure, which the record then has as a flag.
    :param container: the container that is to blame, if one is.
    :param stays: whether it is still there and has to be stopped.
    """

    success: bool = False
    reason: str = ""
    kind: str | None = None
    container: Container | None = None
    stays: bool = False

    @property
    def may_be_retried(self) -> bool:
        """Whether another attempt is for us to make; what is lost may run on, unseen."""
        return not self.success and self.kind not in ("lost", KILLED, DISCARDED)


def killed(stays: bool = False) -> Ending:
    """Give the ending of a pod that was ended by request.

    :param stays: whether it is still there.
    """
    return Ending(reason="killed on request", kind=KILLED, stays=stays)


def lost(why: str, stays: bool = False) -> Ending:
    """Give the ending of a pod of which nobody knows what became of it.

    :param why: what is known.
    :param stays: whether it is still there.
    """
    return Ending(reason=f"lost: {why}", kind="lost", stays=stays)
