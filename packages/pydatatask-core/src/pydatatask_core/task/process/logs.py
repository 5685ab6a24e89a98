"""The output of a running process."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pydatatask_core.utils import AReadStream

    from .task import ProcessTask

__all__ = ["read_streams"]

CHUNK_BYTES = 1 << 20
"""The maximum number of bytes held in memory at once."""

_POLL_INTERVAL_SECONDS = 0.25


async def read_streams(task: ProcessTask, job: str, follow: bool) -> AsyncGenerator[bytes, None]:
    """Yield the output of a job on its target.

    :param task: the task.
    :param job: the job, which has a record.
    :param follow: whether to continue until the record is deleted.
    """
    record = await task.pids.info(job)
    if not record or (isinstance(record, dict) and record.get("handle") is None):
        return  # it is just starting, or has just ended
    await task.runs.load_namespace()
    run = task.runs.recorded(job, record)
    async with AsyncExitStack() as stack:
        streams: dict[str, AReadStream] = {}
        while True:
            is_running = follow and await task.pids.contains(job)
            for name in task.streams.captured:
                if name not in streams:
                    try:
                        streams[name] = await task.backend.open_output(run, name)
                    except FileNotFoundError:
                        continue  # not created yet, or removed already
                    stack.push_async_callback(streams[name].close)
                while block := await streams[name].read(CHUNK_BYTES):
                    yield block
            if not is_running:
                return
            await asyncio.sleep(_POLL_INTERVAL_SECONDS)
