"""Asking a store about many jobs, several at once."""

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
"""How many values are read at once where a store has no way to read them all."""

T = TypeVar("T")

Problems = dict[str, MalformedValueError]
"""Why a value cannot be made sense of, by job."""


async def map_concurrently(
    jobs: Collection[str], function: Callable[[str], Awaitable[T]]
) -> dict[str, T]:
    """Ask the same about each job.

    :param jobs: the jobs, which come back in the order in which they were answered.
    :param function: what to ask.
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
    """Ask the same about each job, and set those apart whose value is malformed."""
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
    """Read the values of some jobs, in bulk if that fails for none of them.

    :raises StoreError: if the store could not be read.
    :raises OSError: if that of a third party could not.
    """
    try:
        return await repo.info_many(jobs), {}
    except MalformedValueError:
        return await map_collecting_problems(jobs, repo.info)
    except (StoreError, OSError, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError):
        raise
    except BaseException:  # noqa: BLE001 - a third party's class may raise anything for one job
        name = f"{type(repo).__qualname__}.info"

        async def read(job: str) -> Any:
            return await call_for_job(job, name, repo.info, job)

        return await map_collecting_problems(jobs, read)
