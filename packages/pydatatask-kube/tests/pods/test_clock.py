"""Ages of pods are computed with the API server's clock, not that of this machine."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_kube.cluster import clock
from pydatatask_kube.cluster.clock import ServerClock

if TYPE_CHECKING:
    from pydatatask_kube import PodManager

    from .api_server import ApiServer


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the monotonic time as a list with one item that can be changed."""
    messages = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: messages[0])
    return messages


def test_it_continues_from_the_date_of_the_last_response(seconds: list[float]) -> None:
    it = ServerClock()
    it.note("Thu, 01 Jan 2026 12:00:00 GMT")
    seconds[0] += 90
    assert it.now() == datetime(2026, 1, 1, 12, 1, 30, tzinfo=UTC)
    it.note("Thu, 01 Jan 2026 11:00:00 GMT")
    assert it.now() == datetime(2026, 1, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Thu, 01 Jan 2026 12:00:00 -0000"])
def test_an_invalid_date_changes_nothing(date: str | None, seconds: list[float]) -> None:
    it = ServerClock()
    it.note("Thu, 01 Jan 2026 12:00:00 GMT")
    it.note(date)
    assert it.now() == datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_without_a_response_it_returns_the_time_of_this_machine() -> None:
    it = ServerClock()
    it.note(None)
    assert abs(it.now() - datetime.now(UTC)) < timedelta(minutes=1)


async def test_every_response_sets_the_clock(
    server: ApiServer, podman: PodManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(datetime):
        @classmethod
        def now(cls, zone: Any = None) -> Any:
            return datetime(2020, 1, 1, tzinfo=zone)

    monkeypatch.setattr(clock, "datetime", Late)
    assert podman.client.clock.now().year == 2020
    await podman.query()
    assert podman.client.clock.now() > datetime(2026, 1, 1, tzinfo=UTC)
