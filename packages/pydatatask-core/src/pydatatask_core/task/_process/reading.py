"""What a process has written, while it runs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .setting import ProcessSetting

__all__ = ["read_streams"]

CHUNK = 1 << 20
"""Bytes that are held in memory at once."""

_LOOK_AGAIN = 0.25


async def read_streams(task: ProcessSetting, job: str, follow: bool) -> AsyncGenerator[bytes, None]:
    """Read the streams of a job where it runs.

    :param task: whose job.
    :param job: the job, which has a record.
    :param follow: whether to go on until that is gone.
    """
    record = await task.pids.info(job)
    if not isinstance(record, dict) or not isinstance(record.get("handle"), str):
        return  # it is just beginning, or has just ended
    run = task.recorded_run(job, record)
    async with AsyncExitStack() as stack:
        streams = []
        for name in task.kept_streams:
            stream = await task.runs.read(run, name)
            stack.push_async_callback(stream.close)
            streams.append(stream)
        while True:
            live = follow and await task.pids.contains(job)
            for stream in streams:
                while block := await stream.read(CHUNK):
                    yield block
            if not live:
                return
            await asyncio.sleep(_LOOK_AGAIN)
