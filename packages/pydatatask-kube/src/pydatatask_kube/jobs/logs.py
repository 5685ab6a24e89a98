"""Copies of the logs of a pod in a repository."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from pydatatask_kube.cluster.pod_state import containers_of
from pydatatask_kube.errors import PodManagerError

if TYPE_CHECKING:
    from pydatatask_core.utils import AWriteStream
    from pydatatask_kube.task import KubeTask

    from .job import PodJob

__all__ = ["CHUNK_BYTES", "heading", "publish_logs"]

log = logging.getLogger("pydatatask.task")

CHUNK_BYTES = 64 * 1024

MAX_ATTEMPTS = 4
"""Failures of the server after which the outcome is recorded without the log."""


def heading(container: str) -> bytes:
    """Return the line before the log of a container in a pod with several containers.

    :param container: the name of the container.
    """
    return f"==> {container} <==\n".encode()


async def publish_logs(task: KubeTask, tracked: PodJob) -> str | None:
    """Copy the logs of all containers one after the other, with headings if there are several.

    A log that cannot be read does not prevent the recording of the outcome; reading is only
    retried a few times if the error may be transient.

    :param task: the task, which must have a repository for logs.
    :param tracked: the job.
    :return: a description of problems, if there were any.
    :raises PodManagerError: if the copy should be retried.
    """
    assert task.logs is not None
    assert tracked.pod is not None
    containers = containers_of(tracked.pod)
    problems: list[str] = []
    async with await task.logs.open(tracked.job, "wb") as target:
        if tracked.gone:
            problems.append("the pod was deleted before its logs were read")
        else:
            for container in containers:
                if not container.has_started:
                    continue
                if len(containers) > 1:
                    await target.write(heading(container.name))
                problem = await _copy(task, tracked, container.name, target)
                if problem is not None:
                    problems.append(problem)
    if not problems:
        return None
    message = "; ".join(problems)
    log.warning(
        "%s: some logs of job %s could not be read: %s",
        *(task.name, tracked.job, message),
        extra={"task": task.name, "job": tracked.job},
    )
    return message


async def _copy(
    task: KubeTask, tracked: PodJob, container: str, target: AWriteStream
) -> str | None:
    try:
        async with (
            task.podman.log(tracked.name, container) as response,
            aclosing(response.chunks(CHUNK_BYTES)) as chunks,
        ):
            async for chunk in chunks:
                await target.write(chunk)
    except PodManagerError as e:
        if e.transient and not tracked.gone:
            tracked.log_failures += e.status is not None
            if tracked.log_failures < MAX_ATTEMPTS:
                raise
        return str(e)
    return None
