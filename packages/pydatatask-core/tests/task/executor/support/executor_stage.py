"""A pipeline with one executor task, its inputs and its outputs."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydatatask_core import (
    ExecutorTask,
    FileRepository,
    InProcessMetadataRepository,
    MetadataRepository,
    Pipeline,
    YamlMetadataFileRepository,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Stage:
    task: ExecutorTask
    inp: MetadataRepository
    out: MetadataRepository
    done: MetadataRepository

    def pipeline(self, **options: Any) -> Pipeline:
        return Pipeline([self.task], **options)

    async def feed(self, *jobs: str, value: Any = 1) -> None:
        await self.inp.validate()
        for job in jobs:
            await self.inp.dump(job, value)

    async def run(self) -> None:
        async with self.pipeline() as pipeline:
            await pipeline.run(timeout=50)

    async def finish(self) -> None:
        """Wait for the end of manually launched jobs."""
        while await self.task.update():  # noqa: ASYNC110 - a task without a pipeline must be polled
            await asyncio.sleep(0)


def _stage(
    kinds: Callable[[str], MetadataRepository], executor: Any, func: Any, options: dict[str, Any]
) -> Stage:
    inp, out, done = (kinds(name) for name in ("inp", "out", "done"))
    task = ExecutorTask("work", executor, done, func=func, **options)
    task.link("inp", inp, is_input=True)
    task.link("out", out, is_output=True, required_for_output=False)
    return Stage(task, inp, out, done)


def in_files(folder: Path, executor: Any, func: Any, **options: Any) -> Stage:
    """Create a stage over files, with extra directories of plain files, ``marks`` and ``gates``."""
    stage = _stage(
        lambda name: YamlMetadataFileRepository(folder / name, ".yaml"), executor, func, options
    )
    for name in ("marks", "gates"):
        stage.task.link(name, FileRepository(folder / name))
    return stage


def in_memory(executor: Any, func: Any, **options: Any) -> Stage:
    """Create a stage over repositories in memory."""
    return _stage(lambda _: InProcessMetadataRepository(), executor, func, options)


class Gate:
    """Two named pipes: a job signals its start through one and waits at the other.

    Both methods block until the other side is there.
    """

    def __init__(self, folder: Path, job: str) -> None:
        self._base = str(folder / "gates" / job)
        (folder / "gates").mkdir(exist_ok=True)
        for end in ("begun", "go"):
            os.mkfifo(self._base + end)

    def wait_until_begun(self) -> None:
        Path(self._base + "begun").open().close()

    def stand_open(self) -> None:
        """Block neither side for as long as this process lives."""
        for end in ("begun", "go"):
            os.open(self._base + end, os.O_RDWR)

    def let_go(self) -> None:
        Path(self._base + "go").open("w").close()
