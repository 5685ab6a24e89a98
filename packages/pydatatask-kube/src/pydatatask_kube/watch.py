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

from .errors import PodManagerError, refusal
from .events import parse_event
from .known import KnownPods
from .names import name_of, task_of, uid_of
from .strays import describe_strays

if TYPE_CHECKING:
    from .events import Listener, PodSource

__all__ = ["PodWatch"]

log = logging.getLogger("pydatatask.pod_manager")

Pod = dict[str, Any]

SERVER_TIMEOUT = 290
"""Seconds after which the API server is asked to end a watch."""

SILENCE = 100.0
"""Seconds without an event after which a watch counts as dead; the server sends a bookmark about
every minute."""

LONGEST_TURN = 0.01
"""Seconds of processing events after which other tasks of the event loop get to run."""

_SHORT = 1.0
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 30.0
_GONE = 410


class PodWatch(KnownPods):
    """A cache of the pods of an application that notifies listeners of changes.

    It is stale while the API server cannot be reached, and is corrected afterwards: it may still
    contain a pod that was deleted, but never drops one that exists.

    :param source: the source of the pods.
    """

    def __init__(self, source: PodSource) -> None:
        self._source = source
        self._listeners: dict[str, Listener] = {}
        self._running: asyncio.Task[None] | None = None
        self._stopped: list[asyncio.Task[None]] = []
        self._turn_ends = 0.0
        super().__init__()

    def forget(self) -> None:
        super().forget()
        self._synced = asyncio.Event()
        self._tried = asyncio.Event()
        self._failure: PodManagerError | None = None
        self._wait = 0.0
        self._told_of_failure = False
        self._told_of_strays = False

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
            listener.changed(pod, gone=False)
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="pydatatask watch of pods")

    def unsubscribe(self, task: str, listener: Listener) -> None:
        """Remove a listener; the watch ends with the last one."""
        if self._listeners.get(task) is listener:
            del self._listeners[task]
        if not self._listeners:
            self._stop()

    def _stop(self) -> None:
        """End the watch and discard its state, which is no longer updated."""
        if self._running is not None:
            self._running.cancel()
            self._stopped.append(self._running)
            self._running = None
            tried = self._tried
            self.forget()
            tried.set()  # wakes up ready()

    async def close(self) -> None:
        """End the watch and wait for its end."""
        self._stop()
        stopped, self._stopped = self._stopped, []
        if stopped:
            await asyncio.wait(stopped)

    async def ready(self) -> None:
        """Wait until the pods are known.

        :raises PodManagerError: if they could not be listed; the watch keeps trying.
        :raises SessionError: if the watch was ended.
        """
        if self._running is None:
            raise SessionError("the pod manager is closed, or no pipeline drives tasks with it")
        if not self.synced:
            await self._tried.wait()
            if self._running is None:
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
                version = await self._follow(version)
                if time.monotonic() - began >= _SHORT:
                    self._wait = 0.0
                    continue
            except PodManagerError as e:
                if e.status == _GONE:
                    log.info("Listing the pods of %s again: %s", self._source.where, e.cause)
                    version = None
                else:
                    self._note(e)
            except Exception as e:
                # Without a watch no pod would ever end, so it is restarted with a new listing.
                log.exception("The watch of the pods of %s failed", self._source.where)
                self._note(PodManagerError("watch pods", self._source.where, describe(e)))
                version = None
            await self._pause()

    async def _pause(self) -> None:
        self._wait = min(max(2 * self._wait, _FIRST_WAIT), _LONGEST_WAIT)
        asked = self._failure.retry_after if self._failure is not None else None
        await asyncio.sleep(max(asked or 0.0, self._wait * random.uniform(0.5, 1.0)))

    def _note(self, failure: PodManagerError) -> None:
        # A watch is often interrupted; only a failure to resume it is worth a warning.
        if self._failure is not None and not self._told_of_failure and self.synced:
            self._told_of_failure = True
            log.warning(
                "The pods of %s cannot be watched; trying again: %s",
                self._source.where,
                failure.cause,
            )
        self._failure = failure
        self._tried.set()

    async def _list(self) -> str:
        began = time.monotonic()
        seen: set[str] = set()
        version = ""
        async with aclosing(self._source.pages()) as pages:
            async for pods, version in pages:  # noqa: B007 - the last version is returned
                for pod in pods:
                    seen.add(name_of(pod))
                    self._see(pod)
                await asyncio.sleep(0)
        for pod in self.others(seen):
            self._miss(pod)
        self._connected()
        for listener in list(self._listeners.values()):
            listener.listed(began)
        self._synced.set()
        self._tried.set()
        self._tell_of_strays()
        return version

    def _connected(self) -> None:
        if self._told_of_failure:
            log.warning("The pods of %s are watched again", self._source.where)
        self._failure, self._told_of_failure = None, False

    async def _follow(self, version: str) -> str:
        """Process events until the server ends the watch; return the last version."""
        seconds = int(SERVER_TIMEOUT * random.uniform(0.8, 1.0))
        try:
            async with aclosing(self._source.events(version, seconds, SILENCE)) as lines:
                async for line in lines:
                    event = parse_event(line, self._source.where)
                    self._connected()
                    version = self._take(event) or version
                    await self._give_way()
        except PodManagerError as e:
            if e.status is not None:
                raise
            self._note(e)
        return version

    async def _give_way(self) -> None:
        """Yield to the event loop if processing has taken long."""
        if time.monotonic() > self._turn_ends:
            await asyncio.sleep(0)
            self._turn_ends = time.monotonic() + LONGEST_TURN

    def _take(self, event: dict[str, Any]) -> str | None:
        kind, about = event.get("type"), event.get("object") or {}
        if kind == "ERROR":
            status = about.get("code")
            raise refusal(
                "watch pods",
                self._source.where,
                status if isinstance(status, int) else 500,
                json.dumps(about),
            )
        if kind in ("ADDED", "MODIFIED"):
            self._see(about)
        elif kind == "DELETED":
            self._miss(about)
        version = (about.get("metadata") or {}).get("resourceVersion")
        return str(version) if version else None

    # -- the pods --------------------------------------------------------------------------------

    def _see(self, pod: Pod) -> None:
        before = self.get(name_of(pod))
        if before is not None and uid_of(before) != uid_of(pod):
            self._miss(before)
        less = self.put(pod)
        if less is not None:
            self._tell(less, gone=False)

    def _miss(self, pod: Pod) -> None:
        self.drop(pod)
        self._tell(pod, gone=True)

    def _tell(self, pod: Pod, *, gone: bool) -> None:
        listener = self._listeners.get(task_of(pod) or "")
        if listener is None:
            return
        try:
            listener.changed(pod, gone=gone)
        except Exception:
            log.exception("A change of the pod %s could not be processed", name_of(pod))

    def _tell_of_strays(self) -> None:
        if self._told_of_strays:
            return
        self._told_of_strays = True
        told = describe_strays(self.pods(), self._listeners.keys(), self._source.where)
        if told is not None:
            log.warning("%s", told)
