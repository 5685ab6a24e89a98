"""The interfaces between the watch, its source of pods and its listeners."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from pydatatask_kube.errors import api_errors

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["Listener", "PodSource", "parse_event"]

Pod = dict[str, Any]


class PodSource(Protocol):
    """The source of the pods of a watch."""

    @property
    def where(self) -> str:
        """The namespace and server, for messages."""

    def pages(self) -> AsyncGenerator[tuple[list[Pod], str], None]:
        """List all pods in pages, each with the version of the whole listing."""

    def events(
        self, version: str, seconds: int, read_timeout: float
    ) -> AsyncGenerator[bytes, None]:
        """Watch from a version on, and yield each event as a line."""


class Listener(Protocol):
    """A listener for the pods of one task."""

    def on_pod(self, pod: Pod, gone: bool) -> None:
        """Process a pod that is new, has changed, or has been deleted, with its last state."""

    def on_listed(self, began: float) -> None:
        """Process the end of a new listing of all pods.

        Pods that were created before it began and are not in it have been deleted.

        :param began: the monotonic time at which the listing began.
        """


def parse_event(line: bytes, where: str) -> dict[str, Any]:
    """Parse an event; a truncated or malformed one is treated like a broken connection.

    :param line: a line from the server.
    :param where: the namespace and server, for messages.
    :raises PodManagerError: if it is not an event.
    """
    with api_errors("watch pods", where):
        event = json.loads(line)
        if not isinstance(event, dict):
            raise ValueError(f"an event must be a mapping, not a {type(event).__name__}")
    return event
