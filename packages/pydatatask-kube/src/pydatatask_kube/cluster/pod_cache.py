"""A cache of the last known state of an application's pods."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydatatask_kube.pod_names import job_of, name_of, task_of, uid_of

from .pod_state import trimmed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["PodCache"]

Pod = dict[str, Any]


class PodCache:
    """A cache of pods, which keeps the fields needed for tracking and the rest as text."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Remove all pods."""
        self._pods: dict[str, Pod] = {}
        self._texts: dict[str, str] = {}
        self._by_task: dict[str, dict[str, Pod]] = {}
        self._jobs: dict[str, frozenset[str]] = {}

    def jobs(self, task: str) -> frozenset[str]:
        """Return the jobs that have a pod, as the same object until they change.

        :param task: the task.
        """
        jobs = self._jobs.get(task)
        if jobs is None:
            pods = self._by_task.get(task, {}).values()
            jobs = frozenset(job for pod in pods if (job := job_of(pod)) is not None)
            self._jobs[task] = jobs
        return jobs

    def pods(self, task: str | None = None, job: str | None = None) -> list[Pod]:
        """Return pods, with the fields needed for tracking only.

        :param task: the task of the pods; any by default.
        :param job: the job of the pods; any by default.
        """
        pods: Iterable[Pod] = self._by_task.get(task, {}).values() if task else self._pods.values()
        return [pod for pod in pods if job is None or job_of(pod) == job]

    def pods_except(self, names: Collection[str]) -> list[Pod]:
        """Return the pods with names other than these."""
        return [self._pods[name] for name in self._pods.keys() - set(names)]

    def get(self, name: str) -> Pod | None:
        """Return the pod with the given name, if it is known."""
        return self._pods.get(name)

    def full(self, pod: Pod) -> Pod:
        """Return a pod with all its fields.

        :param pod: a pod that :meth:`pods` returned.
        """
        text = self._texts.get(name_of(pod))
        full_pod: Pod = pod if text is None else json.loads(text)
        return full_pod

    def put(self, pod: Pod) -> Pod | None:
        """Add or replace a pod.

        :param pod: the pod with all its fields; no other pod of its name may be in the cache.
        :return: the pod with the fields that are kept; None if this version is known already.
        """
        name, task = name_of(pod), task_of(pod)
        known = self._pods.get(name)
        if known is not None and _version(known) == _version(pod):
            return None
        pod["metadata"].pop("managedFields", None)  # often larger than everything else
        self._texts[name] = json.dumps(pod)
        trimmed_pod = self._pods[name] = trimmed(pod)
        if task is not None:
            self._by_task.setdefault(task, {})[name] = trimmed_pod
            if known is None:
                self._jobs.pop(task, None)
        return trimmed_pod

    def discard(self, pod: Pod) -> None:
        """Remove a deleted pod; a newer pod of the same name is kept."""
        name, task = name_of(pod), task_of(pod)
        known = self._pods.get(name)
        if known is not None and uid_of(known) == uid_of(pod):
            del self._pods[name], self._texts[name]
            if task is not None:
                self._by_task.get(task, {}).pop(name, None)
                self._jobs.pop(task, None)


def _version(pod: Pod) -> Any:
    return pod["metadata"].get("resourceVersion")
