"""The pods of an application as they were last seen, in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .names import job_of, name_of, task_of, uid_of
from .state import essence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["KnownPods"]

Pod = dict[str, Any]


class KnownPods:
    """Keeps of each pod what has to be known to look after it, and the rest as text."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know of no pod."""
        self._pods: dict[str, Pod] = {}
        self._texts: dict[str, str] = {}
        self._by_task: dict[str, dict[str, Pod]] = {}
        self._jobs: dict[str, frozenset[str]] = {}

    def jobs(self, task: str) -> frozenset[str]:
        """Give the jobs that have a pod; the same object as long as they are the same.

        :param task: whose jobs.
        """
        found = self._jobs.get(task)
        if found is None:
            pods = self._by_task.get(task, {}).values()
            found = frozenset(job for pod in pods if (job := job_of(pod)) is not None)
            self._jobs[task] = found
        return found

    def pods(self, task: str | None = None, job: str | None = None) -> list[Pod]:
        """Give what has to be known of pods to look after them.

        :param task: the task that they are to be of; any by default.
        :param job: the job that they are to be of; any by default.
        """
        found: Iterable[Pod] = self._by_task.get(task, {}).values() if task else self._pods.values()
        return [pod for pod in found if job is None or job_of(pod) == job]

    def others(self, names: Collection[str]) -> list[Pod]:
        """Give the pods of other names than these."""
        return [self._pods[name] for name in self._pods.keys() - set(names)]

    def get(self, name: str) -> Pod | None:
        """Give the pod of a name, if it is known."""
        return self._pods.get(name)

    def whole(self, pod: Pod) -> Pod:
        """Give all that there is to a pod.

        :param pod: what :meth:`pods` gave.
        """
        text = self._texts.get(name_of(pod))
        whole: Pod = pod if text is None else json.loads(text)
        return whole

    def put(self, pod: Pod) -> Pod | None:
        """Take note of a pod.

        :param pod: all of it; no other of its name is known.
        :return: what is kept of it; None if that is known already.
        """
        name, task = name_of(pod), task_of(pod)
        before = self._pods.get(name)
        if before is not None and _version(before) == _version(pod):
            return None
        pod["metadata"].pop("managedFields", None)  # often more than all the rest
        self._texts[name] = json.dumps(pod)
        less = self._pods[name] = essence(pod)
        if task is not None:
            self._by_task.setdefault(task, {})[name] = less
            if before is None:
                self._jobs.pop(task, None)
        return less

    def drop(self, pod: Pod) -> None:
        """Take note that a pod is no more; another one of its name may be known by now."""
        name, task = name_of(pod), task_of(pod)
        known = self._pods.get(name)
        if known is not None and uid_of(known) == uid_of(pod):
            del self._pods[name], self._texts[name]
            if task is not None:
                self._by_task.get(task, {}).pop(name, None)
                self._jobs.pop(task, None)


def _version(pod: Pod) -> Any:
    return pod["metadata"].get("resourceVersion")
