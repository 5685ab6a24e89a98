"""The launch of a job of a ``KubeTask``."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import (
    LaunchRefusedError,
    QuantityError,
    TaskConfigurationError,
    TaskError,
)
from pydatatask_core.task.template import read_values
from pydatatask_kube.errors import PodManagerError
from pydatatask_kube.filled import Filled
from pydatatask_kube.manifest import complete
from pydatatask_kube.names import labels, name_of, uid_of
from pydatatask_kube.requests import resources_of
from pydatatask_kube.state import is_over

from .job import LiveJob

if TYPE_CHECKING:
    from pydatatask_core.resource_manager import Resources
    from pydatatask_kube.task import KubeTask

    from .jobs import Jobs

__all__ = ["Launcher"]

log = logging.getLogger("pydatatask.task")

FRESH = 10.0
"""Seconds for which a manifest is kept after a refusal by the quota."""

NAME_PATIENCE = 60.0
"""Seconds for which a launch waits for the deletion of an earlier pod of the same name."""

_LOOK_AGAIN = 0.5
_CONFLICT = 409
_FORBIDDEN = 403
_INVALID = (400, 422)
_OWN_NAMES = {"job", "task", "argv0"}


@dataclass(frozen=True)
class _Rendered:
    job: str
    attempt: int
    filled: Filled
    manifest: dict[str, Any]
    request: Resources
    at: float


class Launcher:
    """The launcher of jobs: within the quota, it creates the pod under the job's only name.

    :param task: the task.
    """

    def __init__(self, task: KubeTask) -> None:
        self.task = task
        self._kept: _Rendered | None = None
        self._refusals = 0
        self._turn = asyncio.Lock()

    async def launch(self, live: LiveJob, jobs: Jobs) -> None:
        """Launch a job within the quota.

        If this raises, the job has no pod, or one that the watch will report.

        :param live: the job.
        :param jobs: all jobs of the task.
        :raises LaunchRefusedError: if the quota has no room.
        """
        task = self.task
        refusals = self._refusals
        async with AsyncExitStack() as stack:
            async with self._turn:
                if self._refusals != refusals:  # while this launch waited for the lock
                    raise LaunchRefusedError(task.name, live.job, "resources for a pod")
                rendered = await self._render(live)
                refused = await stack.enter_async_context(
                    task.resources.reservation(rendered.request, window=task.window)
                )
                if refused is not None:
                    self._kept = rendered
                    self._refusals += 1
                    raise LaunchRefusedError(task.name, live.job, refused)
            live.request = rendered.request
            pod = await self._create(live, rendered, jobs)
            if live.pod is None or live.uid != uid_of(pod):
                live.see(pod, gone=False)  # otherwise the watch has reported a later state
            live.holds_quota = True

    async def requested_resources(self, job: str) -> Resources:
        """Return the resources that the pod of a job would request.

        :param job: the job.
        """
        return (await self._render(LiveJob(job))).request

    # -- rendering -------------------------------------------------------------------------------

    async def _render(self, live: LiveJob) -> _Rendered:
        kept, self._kept = self._kept, None
        now = time.monotonic()
        same = kept is not None and (kept.job, kept.attempt) == (live.job, live.attempt)
        if kept is not None and same and now - kept.at < FRESH:
            return kept
        task, job = self.task, live.job
        filled = await self._fill(job)
        manifest = filled.parse()
        try:
            request = resources_of(manifest["spec"])
        except (QuantityError, AttributeError, TypeError) as e:
            raise filled.refused(str(e)) from None  # the cause contains text that may be secret
        if not task.resources.fits(request):
            raise TaskConfigurationError(
                f"{task.name}: job {job!r} can never be launched, because its pod requests "
                f"{request} and the quota is {task.resources.quota}"
            )
        return _Rendered(job, live.attempt, filled, manifest, request, now)

    async def _fill(self, job: str) -> Filled:
        task, template = self.task, self.task.template
        links = {name: link.repo for name, link in task.links.items()}
        names = {**task.env, "job": job, "task": task.name, "argv0": sys.argv[0]}
        await template.load()
        values = await read_values(template, job, links, names)
        # The task's own names are not secret, even if env has values for them.
        secret = task.env.keys() & values.keys() - _OWN_NAMES
        text = template.render(job, values, {*links, *names}, secret)
        redacted = partial(template.redacted, values, secret) if secret else None
        checked = str.__str__(text) if task.unsafe_templates else text
        return Filled(task.name, job, checked, redacted, template.describe_line)

    # -- creation --------------------------------------------------------------------------------

    async def _create(self, live: LiveJob, rendered: _Rendered, jobs: Jobs) -> dict[str, Any]:
        """Create the pod, or adopt it if it exists and belongs to this job.

        A request that failed may have created the pod, and the client retries it; so an existing
        pod counts as one that was just created.
        """
        task, podman = self.task, self.task.podman
        manifest = complete(rendered.manifest, podman.app, task.name, live.job, live.attempt)
        deadline = time.monotonic() + NAME_PATIENCE
        while True:
            try:
                return await podman.create(manifest)
            except PodManagerError as e:
                if e.status != _CONFLICT:
                    told = self._translated(e, rendered.filled)
                    if told is None:
                        raise
                    raise told from None  # because the cause contains the unredacted text
            found = await podman.get(name_of(manifest))
            if found is not None:
                self._check_ours(found, live.job)
                if await self._may_adopt(found, live):
                    return found
            if time.monotonic() > deadline:
                raise TaskError(
                    f"{task.name}: job {live.job!r} cannot be launched, because its earlier pod "
                    f"{name_of(manifest)!r} was deleted but still exists after "
                    f"{NAME_PATIENCE:.0f} s"
                )
            await asyncio.sleep(_LOOK_AGAIN)

    async def _may_adopt(self, pod: dict[str, Any], live: LiveJob) -> bool:
        """Return whether an existing pod can be used for this job, and is not being deleted."""
        task = self.task
        if pod["metadata"].get("deletionTimestamp"):
            return False
        if is_over(pod) and await task.has_recorded(pod):
            await task.podman.remove(name_of(pod), uid_of(pod))
            return False
        if not task.drives:
            raise TaskError(f"{task.name}: job {live.job!r} is running already, in {name_of(pod)}")
        log.info(
            "%s: the pod %s of job %s exists already, and is adopted",
            *(task.name, name_of(pod), live.job),
            extra={"task": task.name, "job": live.job},
        )
        return True

    def _check_ours(self, pod: dict[str, Any], job: str) -> None:
        ours = labels(self.task.podman.app, self.task.name, job).items()
        if not ours <= (pod["metadata"].get("labels") or {}).items():
            raise TaskError(
                f"{self.task.name}: job {job!r} cannot be launched, because "
                f"{self.task.podman.where} has a pod {name_of(pod)!r} whose labels are not those "
                "of this job; delete it, or rename this app or task"
            )

    def _translated(self, error: PodManagerError, filled: Filled) -> Exception | None:
        if error.status in _INVALID:
            return filled.refused(error.cause)
        if error.status == _FORBIDDEN and "exceeded quota" in error.cause:
            told = f"the namespace ({filled.redact_message(error.cause)})"
            return LaunchRefusedError(self.task.name, filled.job, told)
        return None
