"""What may become of a pod. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydatatask_core.task.required_outputs import lacking

if TYPE_CHECKING:
    from collections.abc import Collection

    from .state import Container

__all__ = ["DISCARDED", "KILLED", "Ending", "killed", "lost", "without_outputs"]

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
    :param missing_outputs: the names of the links to outputs that it has not written, if it ended
        well and yet has failed.
    """

    success: bool = False
    reason: str = ""
    kind: str | None = None
    container: Container | None = None
    stays: bool = False
    missing_outputs: tuple[str, ...] = ()

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


def without_outputs(names: Collection[str]) -> Ending:
    """Return the ending of a pod that ended well without writing some of its job's outputs.

    :param names: the names of the links to the outputs.
    """
    return Ending(reason=lacking(names), missing_outputs=tuple(sorted(names)))
