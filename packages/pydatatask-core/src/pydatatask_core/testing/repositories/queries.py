"""Queries that the suites send to a repository."""

from __future__ import annotations

import inspect
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from pydatatask_core.repository.base import Repository

__all__ = ["assert_absent", "failure_of", "jobs_of", "outcome", "repository_warnings", "ways"]


async def jobs_of(repo: Repository) -> set[str]:
    """Return the jobs of a repository by iteration, the reference for all other queries."""
    return {job async for job in repo}


async def ways(repo: Repository) -> dict[str, list[str]]:
    """List a repository in every possible way; results are sorted and keep duplicates."""
    return {
        "iteration": sorted([job async for job in repo]),
        "keys()": sorted(await repo.keys()),
        "info_all()": sorted(await repo.info_all()),
    }


async def assert_absent(repo: Repository, job: str) -> None:
    """Assert that no query of a repository returns a job."""
    assert not await repo.contains(job)
    assert {way for way, jobs in (await ways(repo)).items() if job in jobs} == set()


async def outcome(function: Callable[..., Any], *args: Any) -> Any:
    """Call a synchronous or asynchronous function, and return its result."""
    result = function(*args)
    return await result if inspect.isawaitable(result) else result


async def failure_of(action: Awaitable[Any] | Callable[[], Any]) -> Exception | None:
    """Return the exception that a call or awaitable raises, or None if it succeeds."""
    try:
        await (outcome(action) if callable(action) else action)
    except Exception as error:  # noqa: BLE001 - the error is the result
        return error
    return None


@contextmanager
def repository_warnings() -> Iterator[list[str]]:
    """Collect the warnings that repositories log within the block."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    logger, handler = logging.getLogger("pydatatask.repository"), Collector(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
