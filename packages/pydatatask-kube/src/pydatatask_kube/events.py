"""Where what is known of pods comes from, and whom it is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from .errors import api_errors

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["Listener", "PodSource", "parse_event"]

Pod = dict[str, Any]


class PodSource(Protocol):
    """What a watch takes its pods from."""

    @property
    def where(self) -> str:
        """The namespace and server, for messages."""

    def pages(self) -> AsyncGenerator[tuple[list[Pod], str], None]:
        """List all pods in pages, each with the version that the listing as a whole has."""

    def events(self, version: str, seconds: int, silence: float) -> AsyncGenerator[bytes, None]:
        """Watch from a version on, and give each event as a line."""


class Listener(Protocol):
    """What is told of the pods of one task."""

    def changed(self, pod: Pod, gone: bool) -> None:
        """Take note of a pod that is new, has changed, or is gone, with its last state."""

    def listed(self, began: float) -> None:
        """Take note that all pods were listed anew.

        What was made before that and is not known by now is gone.

        :param began: the time (monotonic) when the listing began.
        """


def parse_event(line: bytes, where: str) -> dict[str, Any]:
    """Read an event; one that is cut short or none is as good as a connection that broke.

    :param line: what the server sent.
    :param where: the namespace and server, for messages.
    :raises PodManagerError: if it is none.
    """
    with api_errors("watch pods", where):
        event = json.loads(line)
        if not isinstance(event, dict):
            raise ValueError(f"an event is a mapping, not a {type(event).__name__}")
    return event
