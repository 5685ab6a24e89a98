"""The API server's clock, which stamps what pods say about themselves."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["ServerClock"]


class ServerClock:
    """Follows the API server's clock by the dates of its answers, whatever this machine's says.

    Between two answers it goes on with this machine's monotonic time.
    """

    def __init__(self) -> None:
        self._offset: float | None = None

    def note(self, date: str | None) -> None:
        """Set the clock by the header ``Date`` of an answer that has just arrived.

        :param date: the header, if there is one.
        """
        try:
            told = parsedate_to_datetime(date or "")
        except ValueError:
            return  # a proxy may have anything there
        if told.tzinfo is not None:
            self._offset = told.timestamp() - time.monotonic()

    def now(self) -> datetime:
        """Return the time of the server; until it has answered, that of this machine."""
        if self._offset is None:
            return datetime.now(UTC)
        return datetime.fromtimestamp(self._offset + time.monotonic(), UTC)
