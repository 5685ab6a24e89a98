"""The clock of the API server, which sets the timestamps of pods."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["ServerClock"]


class ServerClock:
    """A clock that follows the API server by the dates of its responses.

    It is independent of the wall clock of this machine: between two responses it advances with the
    monotonic clock.
    """

    def __init__(self) -> None:
        self._offset: float | None = None

    def note(self, date: str | None) -> None:
        """Set the clock by the ``Date`` header of a response that has just arrived.

        :param date: the header, if there is one.
        """
        try:
            time_of_server = parsedate_to_datetime(date or "")
        except ValueError:
            return  # a proxy may send any text
        if time_of_server.tzinfo is not None:
            self._offset = time_of_server.timestamp() - time.monotonic()

    def now(self) -> datetime:
        """Return the time of the server, or of this machine until the server has responded."""
        if self._offset is None:
            return datetime.now(UTC)
        return datetime.fromtimestamp(self._offset + time.monotonic(), UTC)
