"""Checks, creation of repositories, and warnings when a pipeline opens."""

from __future__ import annotations

import asyncio
import logging
from itertools import chain
from typing import TYPE_CHECKING

from pydatatask_core.errors import PipelineConfigurationError, describe

from .collisions import find_collisions, warn_of_shared_outputs
from .deadlock import find_absent_upstream, find_deadlock
from .launch_guard import marks_ended_jobs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from pydatatask_core.repository.base import Repository
    from pydatatask_core.task.base import Task

__all__ = ["find_problems", "log_config_warnings", "raise_problems"]

log = logging.getLogger("pydatatask.pipeline")


async def find_problems(tasks: Sequence[Task], create: bool) -> list[Exception]:
    """Validate all tasks and all repositories that they write to; return the errors.

    Validation creates missing repositories. A repository that is only read is not validated: if it
    does not exist yet, it counts as empty until it appears.

    :param tasks: the tasks of the pipeline.
    :param create: whether repositories may be created.
    """
    problems: list[Exception] = []
    try:
        problems += await asyncio.to_thread(find_collisions, tasks)
    except Exception as e:  # noqa: BLE001 - a client's callable may raise anything
        problems.append(e)
    if problems and create:
        return problems  # validating a task may change its repositories
    checks: list[Awaitable[None]] = []
    if create:
        checks += [repo.validate() for repo in _written_repositories(tasks)]
    checks += [task.validate() for task in tasks]
    for problem in await asyncio.gather(*checks, return_exceptions=True):
        if isinstance(problem, Exception):
            problems.append(problem)
        elif isinstance(problem, BaseException):  # a third party's validate may return anything
            raise problem
    return problems


def raise_problems(problems: Sequence[Exception]) -> None:
    """Raise the errors that were found, if any.

    :param problems: the errors.
    :raises Exception: the only error, or a PipelineConfigurationError that lists several.
    """
    if len(problems) == 1:
        raise problems[0]
    if problems:
        listed = "".join(f"\n- {describe(problem)}" for problem in problems)
        raise PipelineConfigurationError(
            f"the pipeline has {len(problems)} errors:{listed}"
        ) from ExceptionGroup("validation", problems)


def _written_repositories(tasks: Sequence[Task]) -> list[Repository]:
    """Return the repositories that tasks may write to; links without a disposition count."""
    written: dict[int, Repository] = {}
    for task in tasks:
        for link in task.links.values():
            only_read = link.is_input or link.required_for_start or link.inhibits_start
            if link.is_output or link.is_status or not only_read:
                written[id(link.repo)] = link.repo
    return list(written.values())


async def log_config_warnings(tasks: Sequence[Task]) -> None:
    """Log warnings for configurations that are valid but probably not intended.

    :param tasks: the tasks of the pipeline.
    """
    warnings = await asyncio.gather(*(task.config_warnings() for task in tasks))
    for warning in dict.fromkeys(chain.from_iterable(warnings)):
        log.warning("%s", warning)
    written: set[int] = set()
    for task in tasks:
        extra = {"task": task.name}
        if task.disabled:
            continue
        if task.default_ready and not task.required_for_start:
            log.warning(
                "%s: no link is required for start, so none of its jobs will ever be ready; they "
                "can only be launched by hand",
                task.name,
                extra=extra,
            )
        elif not marks_ended_jobs(task):
            log.warning(
                "%s: no record that outlives a job prevents it from being ready again; link a "
                "repository that inhibits start and to which the task writes, such as `done`",
                task.name,
                extra=extra,
            )
        written |= {id(it.repo) for it in task.links.values() if it.is_output or it.is_status}
    await _warn_of_deadlock(tasks)
    read = {id(link.repo): link.repo for task in tasks for link in task.links.values()}
    for key, repo in read.items():
        if key not in written and await repo.is_missing():
            log.warning("%r does not exist yet; it is taken to be empty until it appears", repo)
    await asyncio.to_thread(warn_of_shared_outputs, tasks)


async def _warn_of_deadlock(tasks: Sequence[Task]) -> None:
    for task, upstream in await find_absent_upstream(tasks):
        log.warning(
            "%s: it is plugged behind %s, which is not in the pipeline and has no results yet; add "
            "it to Pipeline([...]), unless another pipeline runs it",
            task.name,
            upstream.name,
            extra={"task": task.name},
        )
    names = [task.name for task in await find_deadlock(tasks)]
    if names:
        log.warning(
            "%s: %s, and that is empty; no job will ever be ready until you add one by hand",
            " and ".join(names),
            "it requires output that only it writes"
            if len(names) == 1
            else "they wait for each other because each requires output that only they write",
        )
