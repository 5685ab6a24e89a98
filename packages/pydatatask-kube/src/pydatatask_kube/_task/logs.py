"""Copies of the logs of a pod in a repository."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from pydatatask_kube.errors import PodManagerError
from pydatatask_kube.state import containers_of

if TYPE_CHECKING:
    from pydatatask_core.utils import AWriteStream
    from pydatatask_kube.task import KubeTask

    from .job import LiveJob

__all__ = ["CHUNK", "heading", "publish_logs"]

log = logging.getLogger("pydatatask.task")

CHUNK = 64 * 1024

TRIES = 4
"""Failures of the server after which the outcome is recorded without the log."""


def heading(container: str) -> bytes:
    """Return the line before the log of a container in a pod with several containers.

    :param container: the name of the container.
    """
    return f"==> {container} <==\n".encode()


async def publish_logs(task: KubeTask, live: LiveJob) -> str | None:
    """Copy the logs of all containers one after the other, with headings if there are several.

    A log that cannot be read does not prevent the recording of the outcome; reading is only
    retried a few times if the error may be transient.

    :param task: the task, which must have a repository for logs.
    :param live: the job.
    :return: a description of problems, if there were any.
    :raises PodManagerError: if the copy should be retried.
    """
    assert task.logs is not None
    assert live.pod is not None
    containers = containers_of(live.pod)
    problems: list[str] = []
    async with await task.logs.open(live.job, "wb") as target:
        if live.gone:
            problems.append("the pod was deleted before its logs were read")
        else:
            for container in containers:
                if not container.has_begun:
                    continue
                if len(containers) > 1:
                    await target.write(heading(container.name))
                problem = await _copy(task, live, container.name, target)
                if problem is not None:
                    problems.append(problem)
    if not problems:
        return None
    told = "; ".join(problems)
    log.warning(
        "%s: some logs of job %s could not be read: %s",
        *(task.name, live.job, told),
        extra={"task": task.name, "job": live.job},
    )
    return told


async def _copy(task: KubeTask, live: LiveJob, container: str, target: AWriteStream) -> str | None:
    try:
        async with (
            task.podman.log(live.name, container) as answer,
            aclosing(answer.chunks(CHUNK)) as chunks,
        ):
            async for chunk in chunks:
                await target.write(chunk)
    except PodManagerError as e:
        if e.transient and not live.gone:
            live.log_failures += e.status is not None
            if live.log_failures < TRIES:
                raise
        return str(e)
    return None
