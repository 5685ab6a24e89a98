"""Concurrent requests for many jobs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from pydatatask_core.errors import MalformedValueError, StoreError
from pydatatask_core.utils import run_concurrently

from .job_functions import call_for_job

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from .base import Repository

__all__ = ["Problems", "map_collecting_problems", "map_concurrently", "read_many"]

MAX_CONCURRENT_READS = 16
"""Number of values that are read at once if a store cannot read in bulk."""

T = TypeVar("T")

Problems = dict[str, MalformedValueError]
"""The errors of values that could not be read, by job."""


async def map_concurrently(
    jobs: Collection[str], function: Callable[[str], Awaitable[T]]
) -> dict[str, T]:
    """Call a function for each job, several at once, and return the results.

    :param jobs: the jobs; they are returned in the order of completion.
    :param function: the function.
    """
    results: dict[str, T] = {}
    queue = iter(jobs)

    async def worker() -> None:
        for job in queue:
            results[job] = await function(job)

    await run_concurrently(worker() for _ in range(min(MAX_CONCURRENT_READS, len(jobs))))
    return results


async def map_collecting_problems(
    jobs: Collection[str], function: Callable[[str], Awaitable[T]]
) -> tuple[dict[str, T], Problems]:
    """Call a function for each job, several at once; return results and malformed values apart."""
    problems: Problems = {}
    results: dict[str, T] = {}

    async def call_one(job: str) -> None:
        try:
            results[job] = await function(job)
        except MalformedValueError as e:
            problems[job] = e

    await map_concurrently(jobs, call_one)
    return results, problems


async def read_many(repo: Repository, jobs: Collection[str]) -> tuple[dict[str, Any], Problems]:
    """Read the values of some jobs, in bulk unless that fails.

    :raises StoreError: if the store could not be read.
    :raises OSError: if a repository of a third party could not be read.
    """
    try:
        return await repo.info_many(jobs), {}
    except MalformedValueError:
        return await map_collecting_problems(jobs, repo.info)
    except (StoreError, OSError, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError):
        raise
    except BaseException:  # noqa: BLE001 - third-party classes may raise anything for one job
        name = f"{type(repo).__qualname__}.info"

        async def read(job: str) -> Any:
            return await call_for_job(job, name, repo.info, job)

        return await map_collecting_problems(jobs, read)
