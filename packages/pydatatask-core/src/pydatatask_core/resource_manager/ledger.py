"""The count of resources in use: pure arithmetic, without I/O or waiting."""

from __future__ import annotations

import heapq
import logging
from decimal import Decimal
from typing import TYPE_CHECKING

from pydatatask_core.errors import QuantityError

from .quantity import EXACT
from .resources import Resources, unchecked_resources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import timedelta

    from .resources import ResourceType

__all__ = ["Ledger"]

logger = logging.getLogger("pydatatask.resource_manager")
_ZERO = Decimal(0)
_NO_RESOURCES = Resources(launches=0)


class Ledger:
    """A count of resources in use that never exceeds the quota, nor falls below zero.

    Launches with a window leave the count when the window has passed. Callbacks cannot report them
    again, so they stay in the count when usage is collected again. If the quota does not limit
    launches, they are not counted at all.

    :param quota: the maximum that may be in use at once.
    :param clock: returns monotonic time in seconds.
    """

    def __init__(self, quota: Resources, clock: Callable[[], float]) -> None:
        self.quota = quota
        self._limits_launches = quota.limits_launches
        self._clock = clock
        self._used = _NO_RESOURCES
        self._recent: list[tuple[float, int]] = []  # a heap: expiry time, number of launches
        self._recent_count = 0

    def fill(self, reports: Iterable[tuple[Resources, timedelta | None]]) -> None:
        """Replace the count by reported usage.

        Launches reported with a window may include launches that are counted here already. Because
        the two cannot be distinguished, the larger number counts; the surplus expires when the
        window has passed.

        :param reports: usage, and the window of the launches included in it, if they have one.
        """
        used = _NO_RESOURCES
        windowed_launches, longest_window = 0, 0.0
        for report, window in reports:
            if window is None:
                used += self._limited_part(report)
            else:
                used += report.without_launches()
                windowed_launches += self._limited_part(report).launches
                longest_window = max(longest_window, window.total_seconds())
        self._used = used
        self._expire()
        if windowed_launches > self._recent_count:
            self._add_recent(self._clock() + longest_window, windowed_launches - self._recent_count)

    def reserve(self, request: Resources) -> ResourceType | None:
        """Add a request to the count, or return the resource that it would exceed."""
        request = self._limited_part(request)
        self._expire()
        used = self._used + request
        excess = self._with_recent(used).excess(self.quota)
        if excess is None:
            self._used = used
        return excess

    def room(self, request: Resources) -> int | None:
        """Return how many more such requests fit, or None if the request is empty."""
        request, used, quota = self._limited_part(request), self.usage(), self.quota
        parts = [(request.cpu, used.cpu, quota.cpu), (request.mem, used.mem, quota.mem)]
        counts = [
            int(EXACT.divide_int(EXACT.subtract(limit, taken), each))
            for each, taken, limit in parts
            if each
        ]
        if request.launches and self._limits_launches:
            counts.append((quota.launches - used.launches) // request.launches)
        return max(0, min(counts)) if counts else None

    def release(self, request: Resources) -> None:
        """Subtract a request from the count; an excess is logged, and the count becomes zero."""
        request = self._limited_part(request)
        used = self._used - request
        if used.cpu < 0 or used.mem < 0 or used.launches < 0:
            logger.error(
                "%s were relinquished, but only %s were in use: resources are relinquished twice, "
                "or were never reserved",
                request,
                self._used,
            )
            used = Resources(max(used.cpu, _ZERO), max(used.mem, _ZERO), max(used.launches, 0))
        self._used = used

    def expire_at(self, request: Resources, due: float) -> None:
        """Schedule the expiry of the launches of a granted request.

        :param due: the time of expiry, on the clock.
        """
        launches = self._limited_part(request).launches
        if launches:
            self._used -= unchecked_resources(_ZERO, _ZERO, launches)
            self._add_recent(due, launches)

    def usage(self) -> Resources:
        """Return the resources in use now."""
        self._expire()
        return self._with_recent(self._used)

    def next_release(self) -> float | None:
        """Return the seconds until the next launches expire, or None if none will."""
        self._expire()
        return self._recent[0][0] - self._clock() if self._recent else None

    def _limited_part(self, request: Resources) -> Resources:
        if request.cpu < 0 or request.mem < 0 or request.launches < 0:
            raise QuantityError(f"{request} is negative, so it cannot be reserved or relinquished")
        return request if self._limits_launches else request.without_launches()

    def _with_recent(self, used: Resources) -> Resources:
        if not self._recent_count:
            return used
        return used + unchecked_resources(_ZERO, _ZERO, self._recent_count)

    def _add_recent(self, due: float, launches: int) -> None:
        heapq.heappush(self._recent, (due, launches))
        self._recent_count += launches

    def _expire(self) -> None:
        recent = self._recent
        if not recent:
            return
        now = self._clock()
        while recent and recent[0][0] <= now:
            self._recent_count -= heapq.heappop(recent)[1]
