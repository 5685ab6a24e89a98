"""What runs in a worker of an executor: one job, in the event loop of the worker's thread.

This is imported in other processes, too, where there is neither a pipeline nor a task that runs.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import signal
import socket
import threading
import time
import weakref
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydatatask_core.errors import describe
from pydatatask_core.repository.job_scope import JobScope
from pydatatask_core.task.function import describe_failure

from .serialization import BoundFunction, deserialize

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["CancelRequest", "JobResult", "LocalWorkItem", "PickledWorkItem", "WorkItem", "run"]

MAX_CACHED_FUNCTIONS = 32
"""How many unpacked bodies a thread of a worker keeps."""


class JobResult(NamedTuple):
    """What became of a job, in nothing but texts, numbers and times, so that it always arrives."""

    record: dict[str, Any]
    """What goes into ``done``, except for what only the driver knows."""

    cancelled: bool = False
    """Whether the job ended because it was asked to."""

    written: frozenset[str] = frozenset()
    """The identities of the repositories that the job has published to; see ``JobScope``."""

    own_key: frozenset[str] = frozenset()
    """Those of them to which it has published its own key."""

    unusable: str | None = None
    """Why this worker cannot run any job of the task, if so; this one was not begun then."""


class WorkItem(Protocol):
    """What a worker is asked to do."""

    job: str
    """Which job it is."""

    @property
    def scope(self) -> JobScope:
        """The scope to run the body in."""

    @property
    def stop(self) -> CancelRequest | None:
        """Asks the job to end, where that can be heard."""

    def deserialize(self) -> BoundFunction:
        """Give the function and the repositories for it."""


class LocalWorkItem:
    """An order for a thread of this process, which shares everything with it.

    :param scope: the scope of the job, which is shared with the driver.
    :param body: the function and the repositories for it.
    """

    def __init__(self, scope: JobScope, body: BoundFunction) -> None:
        self.job = scope.job
        self.scope = scope
        self.stop = CancelRequest()
        self._body = body

    def deserialize(self) -> BoundFunction:
        """Give the function and the repositories for it."""
        return self._body


class PickledWorkItem:
    """An order for any process. It is no tuple: to some executors those mean something.

    :param scope: the scope of the job, of which the names travel.
    :param payload: what ``serialization.serialize`` made of the body.
    """

    stop = None  # nothing reaches a job in another process

    def __init__(self, scope: JobScope, payload: bytes) -> None:
        self.job = scope.job
        self.submitted_at = time.time()
        self._task = scope.task
        self._payload = payload

    @property
    def scope(self) -> JobScope:
        """A scope like the driver's, but without its hook."""
        return JobScope(self._task, self.job)

    def deserialize(self) -> BoundFunction:
        """Unpack the function and the repositories for it, once a thread.

        :raises KeyboardInterrupt: if this thread was interrupted since the order was given, which
            was meant for all that it had to do.
        """
        if self.submitted_at <= _thread_state.interrupted:
            raise KeyboardInterrupt
        functions = _thread_state.functions
        body = functions.get(self._payload)
        if body is None:
            body = deserialize(self._payload)
            if len(functions) >= MAX_CACHED_FUNCTIONS:
                del functions[next(iter(functions))]
            functions[self._payload] = body
        return body


class CancelRequest:
    """Asks a job in another thread to end; an async function hears it where it awaits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._task: asyncio.Task[Any] | None = None
        self._cannot_cancel = False
        self.requested = False

    def request(self) -> bool:
        """Ask; tell whether the job can hear it."""
        with self._lock:
            self.requested = True
            if self._task is not None:
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)
            return not self._cannot_cancel

    def begin(self, task: asyncio.Task[Any] | None) -> None:
        """Note what the job runs in: a task, or nothing that could be cancelled.

        :raises asyncio.CancelledError: if the job was asked to end before it began.
        """
        with self._lock:
            if self.requested:
                raise asyncio.CancelledError
            self._task, self._cannot_cancel = task, task is None

    def end(self) -> None:
        """Note that the job is over, so that what comes late hits nothing."""
        with self._lock:
            self._task = None


def run(work_item: WorkItem) -> JobResult:
    """Run a job to its end. What it raises is part of the ending, as text.

    :param work_item: what to do.
    """
    start, began = datetime.now(UTC), time.monotonic()
    record: dict[str, Any] = {"success": True, "start_time": start}
    cancelled = False
    try:
        body = work_item.deserialize()
    except KeyboardInterrupt:
        raise
    except BaseException as e:  # noqa: BLE001 - it arrives as text, whatever class it has
        return JobResult({}, unusable=f"{describe(e)} (in a worker, {worker_id()})")
    scope = work_item.scope
    token = scope.enter()
    try:
        _call(body, scope, work_item.stop)
    except KeyboardInterrupt:
        _thread_state.interrupted = time.time()
        raise
    except BaseException as e:  # noqa: BLE001 - SystemExit must not end somebody's worker
        asked = work_item.stop is not None and work_item.stop.requested
        cancelled = asked and isinstance(e, asyncio.CancelledError)
        scope.close_unawaited_calls(e, body.links)
        record["success"] = False
        record.update(describe_failure(e))
    finally:
        scope.leave(token)
    record["end_time"] = start + timedelta(seconds=time.monotonic() - began)
    record["worker"] = worker_id()
    if not isinstance(work_item, PickledWorkItem):
        return JobResult(record, cancelled)  # the driver has the same scope
    return JobResult(
        record, cancelled, scope.published_identities(), scope.identities_with_own_key()
    )


def _call(body: BoundFunction, scope: JobScope, stop: CancelRequest | None) -> None:
    """Run a body in a context of its own: a variable that a job sets is not the next one's."""

    async def finish(result: Awaitable[Any]) -> None:
        await result
        if scope.has_unfinished_work():
            await scope.wait_for_calls(body.links)

    context = contextvars.copy_context()
    if inspect.iscoroutinefunction(body.func):
        return _thread_state.loop.run(
            lambda: finish(body.func(scope.job, **body.links)), stop, context
        )
    if stop is not None:
        stop.begin(None)
    result = context.run(body.func, scope.job, **body.links)
    if inspect.isawaitable(result):
        _thread_state.loop.run(lambda: finish(result), stop, context)
    scope.check_awaited(body.links)
    return None


class _Loop:
    """The event loop of a thread, which it keeps for all its jobs and closes when it ends."""

    def __init__(self) -> None:
        loop = asyncio.new_event_loop()
        self._runner = asyncio.Runner(loop_factory=lambda: loop)
        # The runner's own way to close would begin another thread in one that is about to end.
        weakref.finalize(self, _close, loop)

    def run(
        self,
        call: Callable[[], Awaitable[Any]],
        stop: CancelRequest | None,
        context: contextvars.Context,
    ) -> None:
        """Run one job and what it leaves behind, as ``asyncio.run`` would."""
        self._runner.run(_run_to_end(call, stop), context=context)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    if not loop.is_running():  # as it may be in a daemon thread when the process ends
        loop.close()


async def _run_to_end(call: Callable[[], Awaitable[Any]], stop: CancelRequest | None) -> None:
    task = asyncio.current_task()
    try:
        if stop is not None:
            stop.begin(task)
        await call()
    finally:
        if stop is not None:
            stop.end()
        leftover = asyncio.all_tasks() - {task}
        for other in leftover:
            other.cancel()
        await asyncio.gather(*leftover, return_exceptions=True)


def _restore_interrupts() -> None:
    """Undo what a forked worker has inherited of the driver's event loop.

    There Ctrl-C cancels the main task, of which a copy is all that there is here.
    """
    runner = getattr(getattr(signal.getsignal(signal.SIGINT), "func", None), "__self__", None)
    if isinstance(runner, asyncio.Runner):
        from multiprocessing import parent_process

        if parent_process() is not None:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.default_int_handler)


class _ThreadState(threading.local):
    """What a thread keeps from one job to the next."""

    def __init__(self) -> None:
        self.functions: dict[bytes, BoundFunction] = {}
        self.interrupted = 0.0
        if threading.current_thread() is threading.main_thread():
            _restore_interrupts()

    @cached_property
    def loop(self) -> _Loop:
        return _Loop()


_thread_state = _ThreadState()


def worker_id() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
