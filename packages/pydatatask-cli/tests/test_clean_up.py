"""Remains of jobs with a recorded outcome are removed before their records are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pydatatask_cli.commands.retry import retry
from pydatatask_cli.commands.rm import delete_data
from pydatatask_cli.errors import CommandLineError
from pydatatask_core import InProcessMetadataRepository, Pipeline
from pydatatask_core.task import Task

if TYPE_CHECKING:
    from collections.abc import Collection

ENDED = {"success": False, "reason": "it failed"}


class Leaving(Task):
    """A task whose driver died just after recording the outcome of job ``left``; ``runs`` runs."""

    def __init__(self) -> None:
        super().__init__("task")
        self.live = InProcessMetadataRepository(dict.fromkeys(["left", "runs"], 0))
        self.done = InProcessMetadataRepository(dict.fromkeys(["left", "runs", "gone"], ENDED))
        self.link("live", self.live, is_status=True, inhibits_start=True, inhibits_output=True)
        self.link_outcomes("done", self.done)

    async def clean_up(self, jobs: Collection[str]) -> None:
        assert self.done.data.keys() >= set(jobs)
        if "left" in jobs:
            self.live.data.pop("left", None)

    async def update(self) -> bool:
        return False

    async def launch(self, job: str) -> None:
        raise NotImplementedError


async def test_a_job_with_remains_can_be_retried() -> None:
    task = Leaving()
    async with Pipeline([task]) as pipeline:
        assert await retry(pipeline, "task", ["left"]) == ["left"]
        with pytest.raises(CommandLineError, match="'runs' of task is live"):
            await retry(pipeline, "task", ["runs"])
    assert task.done.data.keys() == {"runs", "gone"}


async def test_retry_failed_ignores_jobs_that_run() -> None:
    task = Leaving()
    async with Pipeline([task]) as pipeline:
        assert await retry(pipeline, "task", ["gone"], failed=True) == ["gone", "left"]
    assert task.done.data.keys() == {"runs"}


async def test_remains_are_removed_before_a_record_is_deleted() -> None:
    task = Leaving()
    async with Pipeline([task]) as pipeline:
        await delete_data(pipeline, "task.done", False, ["left"])
    assert task.done.data.keys() == {"runs", "gone"}
    assert task.live.data.keys() == {"runs"}
