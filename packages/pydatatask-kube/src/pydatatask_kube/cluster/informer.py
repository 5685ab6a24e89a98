"""A cache of an application's pods: listed once in pages, then watched."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import SessionError, describe
from pydatatask_kube.errors import PodManagerError, api_error
from pydatatask_kube.pod_names import name_of, task_of, uid_of

from .events import parse_event
from .orphans import describe_orphans
from .pod_cache import PodCache

if TYPE_CHECKING:
    from .events import Listener, PodSource

__all__ = ["PodInformer"]

log = logging.getLogger("pydatatask.pod_manager")

Pod = dict[str, Any]

WATCH_TIMEOUT_SECONDS = 290
"""Seconds after which the API server is asked to end a watch."""

READ_TIMEOUT_SECONDS = 100.0
"""Seconds without an event after which a watch counts as dead; the server sends a bookmark about
every minute."""

MAX_SLICE_SECONDS = 0.01
"""Seconds of processing events after which other tasks of the event loop get to run."""

_MIN_WATCH_SECONDS = 1.0
_INITIAL_BACKOFF_SECONDS = 0.2
_MAX_BACKOFF_SECONDS = 30.0
_GONE = 410


class PodInformer(PodCache):
    """A cache of the pods of an application that notifies listeners of changes.

    It is stale while the API server cannot be reached, and is corrected afterwards: it may still
    contain a pod that was deleted, but never drops one that exists.

    :param source: the source of the pods.
    """

    def __init__(self, source: PodSource) -> None:
        self._source = source
        self._listeners: dict[str, Listener] = {}
        self._task: asyncio.Task[None] | None = None
        self._stopped_tasks: list[asyncio.Task[None]] = []
        self._slice_end = 0.0
        super().__init__()

    def clear(self) -> None:
        super().clear()
        self._synced = asyncio.Event()
        self._list_attempted = asyncio.Event()
        self._failure: PodManagerError | None = None
        self._wait = 0.0
        self._failure_logged = False
        self._orphans_logged = False

    # -- state -----------------------------------------------------------------------------------

    @property
    def synced(self) -> bool:
        """True if the pods have been listed."""
        return self._synced.is_set()

    # -- listeners -------------------------------------------------------------------------------

    def subscribe(self, task: str, listener: Listener) -> None:
        """Notify a listener of all known pods of a task, and of every later change.

        :param task: the task.
        :param listener: the listener.
        """
        self._listeners[task] = listener
        for pod in self.pods(task):
            listener.on_pod(pod, gone=False)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="pydatatask watch of pods")

    def unsubscribe(self, task: str, listener: Listener) -> None:
        """Remove a listener; the watch ends with the last one."""
        if self._listeners.get(task) is listener:
            del self._listeners[task]
        if not self._listeners:
            self._stop()

    def _stop(self) -> None:
        """End the watch and discard its state, which is no longer updated."""
        if self._task is not None:
            self._task.cancel()
            self._stopped_tasks.append(self._task)
            self._task = None
            list_attempted = self._list_attempted
            self.clear()
            list_attempted.set()  # wakes up ready()

    async def close(self) -> None:
        """End the watch and wait for its end."""
        self._stop()
        stopped, self._stopped_tasks = self._stopped_tasks, []
        if stopped:
            await asyncio.wait(stopped)

    async def wait_synced(self) -> None:
        """Wait until the pods are known.

        :raises PodManagerError: if they could not be listed; the watch keeps trying.
        :raises SessionError: if the watch was ended.
        """
        if self._task is None:
            raise SessionError("the pod manager is closed, or no pipeline drives tasks with it")
        if not self.synced:
            await self._list_attempted.wait()
            if self._task is None:
                raise SessionError("the watch of pods was ended while they were being listed")
            if not self.synced and self._failure is not None:
                raise self._failure

    # -- listing and watching --------------------------------------------------------------------

    async def _run(self) -> None:
        version: str | None = None
        while True:
            began = time.monotonic()
            try:
                if version is None:
                    version = await self._list()
                version = await self._watch_events(version)
                if time.monotonic() - began >= _MIN_WATCH_SECONDS:
                    self._wait = 0.0
                    continue
            except PodManagerError as e:
                if e.status == _GONE:
                    log.info("Listing the pods of %s again: %s", self._source.where, e.cause)
                    version = None
                else:
                    self._note_failure(e)
            except Exception as e:
                # Without a watch no pod would ever end, so it is restarted with a new listing.
                log.exception("The watch of the pods of %s failed", self._source.where)
                self._note_failure(PodManagerError("watch pods", self._source.where, describe(e)))
                version = None
            await self._pause()

    async def _pause(self) -> None:
        self._wait = min(max(2 * self._wait, _INITIAL_BACKOFF_SECONDS), _MAX_BACKOFF_SECONDS)
        asked = self._failure.retry_after if self._failure is not None else None
        await asyncio.sleep(max(asked or 0.0, self._wait * random.uniform(0.5, 1.0)))

    def _note_failure(self, failure: PodManagerError) -> None:
        # A watch is often interrupted; only a failure to resume it is worth a warning.
        if self._failure is not None and not self._failure_logged and self.synced:
            self._failure_logged = True
            log.warning(
                "The pods of %s cannot be watched; trying again: %s",
                self._source.where,
                failure.cause,
            )
        self._failure = failure
        self._list_attempted.set()

    async def _list(self) -> str:
        started_at = time.monotonic()
        seen: set[str] = set()
        version = ""
        async with aclosing(self._source.pages()) as pages:
            async for pods, version in pages:  # noqa: B007 - the last version is returned
                for pod in pods:
                    seen.add(name_of(pod))
                    self._upsert(pod)
                await asyncio.sleep(0)
        for pod in self.pods_except(seen):
            self._remove(pod)
        self._clear_failure()
        for listener in list(self._listeners.values()):
            listener.on_listed(started_at)
        self._synced.set()
        self._list_attempted.set()
        self._log_orphans()
        return version

    def _clear_failure(self) -> None:
        if self._failure_logged:
            log.warning("The pods of %s are watched again", self._source.where)
        self._failure, self._failure_logged = None, False

    async def _watch_events(self, version: str) -> str:
        """Process events until the server ends the watch; return the last version."""
        where = self._source.where
        seconds = int(WATCH_TIMEOUT_SECONDS * random.uniform(0.8, 1.0))
        try:
            async with aclosing(
                self._source.events(version, seconds, READ_TIMEOUT_SECONDS)
            ) as lines:
                async for line in lines:
                    event = parse_event(line, where)
                    self._clear_failure()
                    version = self._apply_event(event) or version
                    await self._yield_to_loop()
        except PodManagerError as e:
            if e.status is not None:
                raise
            self._note_failure(e)
        return version

    async def _yield_to_loop(self) -> None:
        """Yield to the event loop if processing has taken long."""
        if time.monotonic() > self._slice_end:
            await asyncio.sleep(0)
            self._slice_end = time.monotonic() + MAX_SLICE_SECONDS

    def _apply_event(self, event: dict[str, Any]) -> str | None:
        kind, obj = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            status = obj.get("code")
            raise api_error(
                "watch pods",
                self._source.where,
                status if isinstance(status, int) else 500,
                json.dumps(obj),
            )
        if kind in ("ADDED", "MODIFIED"):
            self._upsert(obj)
        elif kind == "DELETED":
            self._remove(obj)
        version = (obj.get("metadata") or {}).get("resourceVersion")
        return str(version) if version else None

    # -- the pods --------------------------------------------------------------------------------

    def _upsert(self, pod: Pod) -> None:
        known_pod = self.get(name_of(pod))
        if known_pod is not None and uid_of(known_pod) != uid_of(pod):
            self._remove(known_pod)
        trimmed_pod = self.put(pod)
        if trimmed_pod is not None:
            self._notify(trimmed_pod, gone=False)

    def _remove(self, pod: Pod) -> None:
        self.discard(pod)
        self._notify(pod, gone=True)

    def _notify(self, pod: Pod, *, gone: bool) -> None:
        listener = self._listeners.get(task_of(pod) or "")
        if listener is None:
            return
        try:
            listener.on_pod(pod, gone=gone)
        except Exception:
            log.exception("A change of the pod %s could not be processed", name_of(pod))

    def _log_orphans(self) -> None:
        if self._orphans_logged:
            return
        self._orphans_logged = True
        message = describe_orphans(self.pods(), self._listeners.keys(), self._source.where)
        if message is not None:
            log.warning("%s", message)
