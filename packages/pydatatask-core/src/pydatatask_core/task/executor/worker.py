"""The part that runs in a worker of an executor: one job, in the event loop of its thread.

Workers in other processes import this module, where neither a pipeline nor a task is running.
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
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydatatask_core.errors import describe
from pydatatask_core.repository.job_scope import JobScope
from pydatatask_core.task.function import describe_failure

from .serialization import BoundFunction, deserialize

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["CancelRequest", "JobResult", "LocalWorkItem", "PickledWorkItem", "WorkItem", "run"]

MAX_CACHED_FUNCTIONS = 32
"""The maximum number of deserialized bodies that a thread of a worker keeps."""


class JobResult(NamedTuple):
    """The result of a job, made only of texts, numbers and times, so that it can be unpickled."""

    record: dict[str, Any]
    """The ``done`` record, without the fields that only the driver knows."""

    cancelled: bool = False
    """True if the job ended because it was cancelled."""

    written: frozenset[str] = frozenset()
    """The identities of the repositories to which the job published; see ``JobScope``."""

    own_key: frozenset[str] = frozenset()
    """The identities among them to which the job published its own key."""

    unusable: str | None = None
    """Why this worker cannot run any job of the task; this job was then not started."""


class WorkItem(Protocol):
    """The unit of work that a worker receives."""

    job: str
    """The job."""

    @property
    def scope(self) -> JobScope:
        """The scope to run the body in."""

    @property
    def stop(self) -> CancelRequest | None:
        """The request that cancels the job, if the worker can receive it."""

    def deserialize(self) -> BoundFunction:
        """Return the function and its repositories."""


class LocalWorkItem:
    """A work item for a thread of this process, which shares all objects with it.

    :param scope: the scope of the job, shared with the driver.
    :param body: the function and its repositories.
    """

    def __init__(self, scope: JobScope, body: BoundFunction) -> None:
        self.job = scope.job
        self.scope = scope
        self.stop = CancelRequest()
        self._body = body

    def deserialize(self) -> BoundFunction:
        """Return the function and its repositories."""
        return self._body


class PickledWorkItem:
    """A work item for any process. It is not a tuple, because some executors interpret tuples.

    :param scope: the scope of the job; only its names are pickled.
    :param payload: the body, as returned by ``serialization.serialize``.
    """

    stop = None  # a job in another process cannot be cancelled

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
        """Deserialize the function and its repositories, once per thread.

        :raises KeyboardInterrupt: if this thread was interrupted after the item was submitted. The
            interrupt was meant for all work of the thread.
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
    """A request to cancel a job in another thread; an async function receives it at an await."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._task: asyncio.Task[Any] | None = None
        self._cannot_cancel = False
        self.requested = False

    def request(self) -> bool:
        """Request the cancellation, and return whether the job can receive it."""
        with self._lock:
            self.requested = True
            if self._task is not None:
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)
            return not self._cannot_cancel

    def begin(self, task: asyncio.Task[Any] | None) -> None:
        """Set the asyncio task of the job; None if the job cannot be cancelled.

        :raises asyncio.CancelledError: if the job was cancelled before it started.
        """
        with self._lock:
            if self.requested:
                raise asyncio.CancelledError
            self._task, self._cannot_cancel = task, task is None

    def end(self) -> None:
        """Mark the job as ended, so that a late request has no effect."""
        with self._lock:
            self._task = None


def run(work_item: WorkItem) -> JobResult:
    """Run a job to its end. An exception is returned as text in the result.

    :param work_item: the work item.
    """
    start, began = datetime.now(UTC), time.monotonic()
    record: dict[str, Any] = {"success": True, "start_time": start}
    cancelled = False
    try:
        body = work_item.deserialize()
    except KeyboardInterrupt:
        raise
    except BaseException as e:  # noqa: BLE001 - returned as text, because its class may be missing
        return JobResult({}, unusable=f"{describe(e)} (in a worker, {worker_id()})")
    scope = work_item.scope
    token = scope.enter()
    try:
        _call(body, scope, work_item.stop)
    except KeyboardInterrupt:
        _thread_state.interrupted = time.time()
        raise
    except BaseException as e:  # noqa: BLE001 - SystemExit must not end the worker
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
    """Run a body in its own context, so that no job sees a context variable of another."""

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
    if result is not None and inspect.isawaitable(result):
        _thread_state.loop.run(lambda: finish(result), stop, context)
    scope.check_awaited(body.links)
    return None


class _Loop:
    """The event loop of a thread, kept for all its jobs and closed when the thread ends."""

    def __init__(self) -> None:
        loop = asyncio.new_event_loop()
        self._runner = asyncio.Runner(loop_factory=lambda: loop)
        # Runner.close() would start another thread in one that is about to end.
        weakref.finalize(self, _close, loop)

    def run(
        self,
        call: Callable[[], Awaitable[Any]],
        stop: CancelRequest | None,
        context: contextvars.Context,
    ) -> None:
        """Run one job, and clean up its asyncio tasks as ``asyncio.run`` does."""
        self._runner.run(_run_to_end(call, stop), context=context)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    if not loop.is_running():  # it may be running in a daemon thread when the process exits
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
    """Restore the default handler of Ctrl-C in a forked worker.

    The handler inherited from the driver cancels the main task of its event loop, of which only a
    copy exists here.
    """
    runner = getattr(getattr(signal.getsignal(signal.SIGINT), "func", None), "__self__", None)
    if isinstance(runner, asyncio.Runner):
        from multiprocessing import parent_process

        if parent_process() is not None:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.default_int_handler)


class _ThreadState(threading.local):
    """The state that a thread keeps from one job to the next."""

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
    return f"{_hostname()}:{os.getpid()}"


_hostname = cache(socket.gethostname)
