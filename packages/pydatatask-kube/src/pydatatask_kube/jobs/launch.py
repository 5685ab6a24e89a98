"""The launch of a job of a ``KubeTask``."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import (
    LaunchRefusedError,
    QuantityError,
    TaskConfigurationError,
    TaskError,
)
from pydatatask_core.task.redaction import find_secrets
from pydatatask_core.task.template import read_values
from pydatatask_kube.cluster.pod_state import is_terminated
from pydatatask_kube.errors import PodManagerError
from pydatatask_kube.manifest.pod_manifest import complete
from pydatatask_kube.manifest.rendered_template import RenderedTemplate
from pydatatask_kube.manifest.resource_requests import resources_of
from pydatatask_kube.pod_names import labels, name_of, uid_of

from .job import PodJob

if TYPE_CHECKING:
    from pydatatask_core.resource_manager import Resources
    from pydatatask_kube.task import KubeTask

    from .tracker import PodTracker

__all__ = ["Launcher"]

log = logging.getLogger("pydatatask.task")

MANIFEST_CACHE_SECONDS = 10.0
"""Seconds for which a manifest is kept after a refusal by the quota."""

NAME_TIMEOUT_SECONDS = 60.0
"""Seconds for which a launch waits for the deletion of an earlier pod of the same name."""

_POLL_INTERVAL_SECONDS = 0.5
_CONFLICT = 409
_FORBIDDEN = 403
_INVALID_STATUSES = (400, 422)
_OWN_NAMES = {"job", "task", "argv0"}


@dataclass(frozen=True)
class _PreparedPod:
    job: str
    attempt: int
    rendered: RenderedTemplate
    manifest: dict[str, Any]
    request: Resources
    at: float


class Launcher:
    """The launcher of jobs: within the quota, it creates the pod under the job's only name.

    :param task: the task.
    """

    def __init__(self, task: KubeTask) -> None:
        self.task = task
        self._cached: _PreparedPod | None = None
        self._refusal_count = 0
        self._reservation_lock = asyncio.Lock()

    async def launch(self, tracked: PodJob, tracker: PodTracker) -> None:
        """Launch a job within the quota.

        If this raises, the job has no pod, or one that the watch will report.

        :param tracked: the job.
        :param tracker: all jobs of the task.
        :raises LaunchRefusedError: if the quota has no room.
        """
        task = self.task
        refusals = self._refusal_count
        async with AsyncExitStack() as stack:
            async with self._reservation_lock:
                if self._refusal_count != refusals:  # while this launch waited for the lock
                    raise LaunchRefusedError(task.name, tracked.job, "resources for a pod")
                prepared = await self._prepare(tracked)
                refused = await stack.enter_async_context(
                    task.quota.reservation(prepared.request, window=task.window)
                )
                if refused is not None:
                    self._cached = prepared
                    self._refusal_count += 1
                    raise LaunchRefusedError(task.name, tracked.job, refused)
            tracked.request = prepared.request
            pod = await self._create(tracked, prepared, tracker)
            if tracked.pod is None or tracked.uid != uid_of(pod):
                tracked.update_pod(
                    pod, gone=False
                )  # otherwise the watch has reported a later state
            tracker.hold_quota(tracked)

    async def requested_resources(self, job: str) -> Resources:
        """Return the resources that the pod of a job would request.

        :param job: the job.
        """
        return (await self._prepare(PodJob(job))).request

    # -- rendering -------------------------------------------------------------------------------

    async def _prepare(self, tracked: PodJob) -> _PreparedPod:
        cached, self._cached = self._cached, None
        now = time.monotonic()
        same = cached is not None and (cached.job, cached.attempt) == (tracked.job, tracked.attempt)
        if cached is not None and same and now - cached.at < MANIFEST_CACHE_SECONDS:
            return cached
        task, job = self.task, tracked.job
        rendered = await self._render_template(job)
        manifest = rendered.parse()
        try:
            request = resources_of(manifest["spec"])
        except (QuantityError, AttributeError, TypeError) as e:
            raise rendered.rejection(str(e)) from None  # the cause contains text that may be secret
        if not task.resources.fits(request):
            raise TaskConfigurationError(
                f"{task.name}: job {job!r} can never be launched, because its pod requests "
                f"{request} and the quota is {task.resources.quota}"
            )
        return _PreparedPod(job, tracked.attempt, rendered, manifest, request, now)

    async def _render_template(self, job: str) -> RenderedTemplate:
        task, template = self.task, self.task.template
        links = {name: link.repo for name, link in task.links.items()}
        names = {**task.env, "job": job, "task": task.name, "argv0": sys.argv[0]}
        await template.load()
        values = await read_values(template, job, links, names)
        # The task's own names are not secret, even if env has values for them.
        secret = task.env.keys() & values.keys() - _OWN_NAMES
        text = template.render(job, values, {*links, *names}, secret)
        secrets = find_secrets([values[name] for name in secret], text) if secret else None
        return RenderedTemplate(task.name, job, template, text, secrets, task.unsafe_templates)

    # -- creation --------------------------------------------------------------------------------

    async def _create(
        self, tracked: PodJob, prepared: _PreparedPod, tracker: PodTracker
    ) -> dict[str, Any]:
        """Create the pod, or adopt it if it exists and belongs to this job.

        A request that failed may have created the pod, and the client retries it; so an existing
        pod counts as one that was just created.
        """
        task, podman = self.task, self.task.podman
        manifest = complete(prepared.manifest, podman.app, task.name, tracked.job, tracked.attempt)
        deadline = time.monotonic() + NAME_TIMEOUT_SECONDS
        while True:
            try:
                return await podman.create(manifest)
            except PodManagerError as e:
                if e.status != _CONFLICT:
                    translated = self._translate_error(e, prepared.rendered)
                    if translated is None:
                        raise
                    raise translated from None  # because the cause contains the unredacted text
            existing = await podman.get(name_of(manifest))
            if existing is not None:
                self._check_owner(existing, tracked.job)
                if await self._can_adopt(existing, tracked):
                    return existing
            if time.monotonic() > deadline:
                raise TaskError(
                    f"{task.name}: job {tracked.job!r} cannot be launched, because its earlier pod "
                    f"{name_of(manifest)!r} was deleted but still exists after "
                    f"{NAME_TIMEOUT_SECONDS:.0f} s"
                )
            await asyncio.sleep(_POLL_INTERVAL_SECONDS)

    async def _can_adopt(self, pod: dict[str, Any], tracked: PodJob) -> bool:
        """Return whether an existing pod can be used for this job, and is not being deleted."""
        task = self.task
        if pod["metadata"].get("deletionTimestamp"):
            return False
        if is_terminated(pod) and await task.is_recorded(pod):
            await task.podman.remove(name_of(pod), uid_of(pod))
            return False
        if not task.drives:
            raise TaskError(
                f"{task.name}: job {tracked.job!r} is running already, in {name_of(pod)}"
            )
        log.info(
            "%s: the pod %s of job %s exists already, and is adopted",
            *(task.name, name_of(pod), tracked.job),
            extra={"task": task.name, "job": tracked.job},
        )
        return True

    def _check_owner(self, pod: dict[str, Any], job: str) -> None:
        expected_labels = labels(self.task.podman.app, self.task.name, job).items()
        if not expected_labels <= (pod["metadata"].get("labels") or {}).items():
            raise TaskError(
                f"{self.task.name}: job {job!r} cannot be launched, because "
                f"{self.task.podman.where} has a pod {name_of(pod)!r} whose labels are not those "
                "of this job; delete it, or rename this app or task"
            )

    def _translate_error(
        self, error: PodManagerError, rendered: RenderedTemplate
    ) -> Exception | None:
        if error.status in _INVALID_STATUSES:
            return rendered.rejection(error.cause)
        if error.status == _FORBIDDEN and "exceeded quota" in error.cause:
            reason = f"the namespace ({rendered.redact_message(error.cause)})"
            return LaunchRefusedError(self.task.name, rendered.job, reason)
        return None
