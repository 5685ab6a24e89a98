"""What is known of an application's pods: listed once in pages, then watched."""

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
"""Seconds after which the API server is to end a watch."""

SILENCE = 100.0
"""Seconds without an event or a bookmark, which come about every minute, after which a watch is
taken for dead."""

LONGEST_TURN = 0.01
"""Seconds of events in a row after which others have their turn in the event loop."""

_SHORT = 1.0
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 30.0
_GONE = 410


class PodWatch(KnownPods):
    """Keeps the pods of an application in memory, and tells those who listen what changes.

    What it has is old while the API server cannot be reached, and made good afterwards: a pod may
    be shown that is gone, never the other way round.

    :param source: where the pods are.
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

    # -- what is known ---------------------------------------------------------------------------

    @property
    def synced(self) -> bool:
        """Whether the pods are known."""
        return self._synced.is_set()

    # -- who wants to know -----------------------------------------------------------------------

    def subscribe(self, task: str, listener: Listener) -> None:
        """Tell somebody of all pods of a task that there are, and of what becomes of them.

        :param task: whose pods.
        :param listener: whom to tell.
        """
        self._listeners[task] = listener
        for pod in self.pods(task):
            listener.changed(pod, gone=False)
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="pydatatask watch of pods")

    def unsubscribe(self, task: str, listener: Listener) -> None:
        """Tell somebody no more; without anybody to tell, the watch ends."""
        if self._listeners.get(task) is listener:
            del self._listeners[task]
        if not self._listeners:
            self._stop()

    def _stop(self) -> None:
        """End the watch, after which what it knew is nothing to rely on."""
        if self._running is not None:
            self._running.cancel()
            self._stopped.append(self._running)
            self._running = None
            tried = self._tried
            self.forget()
            tried.set()  # who waits for it gets to know

    async def close(self) -> None:
        """End the watch and wait for its end."""
        self._stop()
        stopped, self._stopped = self._stopped, []
        if stopped:
            await asyncio.wait(stopped)

    async def ready(self) -> None:
        """Wait until the pods are known.

        :raises PodManagerError: if they could not be listed; that is tried again meanwhile.
        :raises SessionError: if the watch was ended.
        """
        if self._running is None:
            raise SessionError("the pod manager was closed, or nobody drives tasks by it any more")
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
                    log.info("The pods of %s are listed anew: %s", self._source.where, e.cause)
                    version = None
                else:
                    self._note(e)
            except Exception as e:
                # Without a watch nothing would ever end, so it goes on, and from the beginning.
                log.exception("The watch of the pods of %s failed", self._source.where)
                self._note(PodManagerError("watch pods", self._source.where, describe(e)))
                version = None
            await self._pause()

    async def _pause(self) -> None:
        self._wait = min(max(2 * self._wait, _FIRST_WAIT), _LONGEST_WAIT)
        asked = self._failure.retry_after if self._failure is not None else None
        await asyncio.sleep(max(asked or 0.0, self._wait * random.uniform(0.5, 1.0)))

    def _note(self, failure: PodManagerError) -> None:
        # That a watch is cut is nothing unusual; that it cannot be taken up again is.
        if self._failure is not None and not self._told_of_failure and self.synced:
            self._told_of_failure = True
            log.warning(
                "Nothing new is known of the pods of %s; it is tried again: %s",
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
            async for pods, version in pages:  # noqa: B007 - the last one counts
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
            log.warning("The pods of %s are known again", self._source.where)
        self._failure, self._told_of_failure = None, False

    async def _follow(self, version: str) -> str:
        """Take note of events until the server ends the watch; give the version reached."""
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
        """Let others have their turn, if this one was long."""
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
            log.exception("What became of the pod %s could not be taken note of", name_of(pod))

    def _tell_of_strays(self) -> None:
        if self._told_of_strays:
            return
        self._told_of_strays = True
        told = describe_strays(self.pods(), self._listeners.keys(), self._source.where)
        if told is not None:
            log.warning("%s", told)
