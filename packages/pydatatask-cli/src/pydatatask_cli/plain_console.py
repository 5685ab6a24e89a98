"""The console of the standard library with ``await``, like ``python -m asyncio``.

The event loop runs in the main thread; the console runs in another, and submits compiled code.
"""

from __future__ import annotations

import ast
import asyncio
import code
import concurrent.futures
import contextlib
import inspect
import signal
import threading
from types import FunctionType
from typing import TYPE_CHECKING, Any

from pydatatask_core.utils.visible import escape_controls

from .console_namespace import BANNER, console_namespace

if TYPE_CHECKING:
    from types import CodeType

    from pydatatask_core.pipeline import Pipeline

__all__ = ["run_console"]


class _Console(code.InteractiveConsole):
    def __init__(self, variables: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(variables)
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._loop = loop
        self._running: asyncio.Task[Any] | None = None

    def write(self, data: str) -> None:
        """Write a traceback, whose message may contain data."""
        super().write(escape_controls(data))

    def runcode(self, code: CodeType) -> None:
        """Run compiled code in the event loop, and wait for it."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._loop.call_soon_threadsafe(self._begin, code, future)
        try:
            future.result()
        except SystemExit:
            raise
        except (KeyboardInterrupt, asyncio.CancelledError, concurrent.futures.CancelledError):
            self.write("\nKeyboardInterrupt\n")
        except BaseException:  # noqa: BLE001 - shown, as in every console
            self.showtraceback()

    def _begin(self, code: CodeType, future: concurrent.futures.Future[Any]) -> None:
        try:
            result = FunctionType(code, self.locals)()
        except BaseException as e:  # noqa: BLE001 - raised in the console's thread
            future.set_exception(e)
            return
        if not inspect.iscoroutine(result):
            future.set_result(result)
            return
        self._running = self._loop.create_task(result)

        def ended(task: asyncio.Task[Any]) -> None:
            self._running = None
            if task.cancelled():
                future.cancel()
            elif (error := task.exception()) is not None:
                future.set_exception(error)
            else:
                future.set_result(task.result())

        self._running.add_done_callback(ended)

    def interrupt(self) -> None:
        """Cancel the running statement on Ctrl-C."""
        if self._running is not None:
            self._running.cancel()


async def _run(pipeline: Pipeline) -> None:
    loop = asyncio.get_running_loop()
    await pipeline.open("one")
    try:
        console = _Console(console_namespace(pipeline), loop)
        ended = asyncio.Event()

        def interact() -> None:
            try:
                with contextlib.suppress(SystemExit):
                    console.interact(BANNER, "")
            finally:
                loop.call_soon_threadsafe(ended.set)

        loop.add_signal_handler(signal.SIGINT, console.interrupt)
        threading.Thread(target=interact, daemon=True, name="pydatatask console").start()
        await ended.wait()
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        await pipeline.close()


def run_console(pipeline: Pipeline) -> None:
    """Open the pipeline, run the console until it exits, and close the pipeline.

    :param pipeline: the pipeline.
    """
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - adds history to the prompt
    asyncio.run(_run(pipeline))
