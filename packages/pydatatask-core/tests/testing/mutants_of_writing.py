"""Repositories of blobs that publish what was not written (R3)."""

from __future__ import annotations

import asyncio
from typing import Any

from .harness import Mutants
from .reference import ReferenceBlobs, Writer

MUTANTS = Mutants()
breaks = MUTANTS.breaks


class Uncounted(Writer):
    async def write(self, data: bytes) -> None:
        self._check_usable()
        await self._write(data)


@breaks(
    "R3",
    "a_write_that_is_not_awaited_leaves_no_key",
    "a_write_that_is_not_awaited_leaves_the_old_value",
)
class PublishesWithoutForgottenWrites(ReferenceBlobs):
    writer = Uncounted


class OneTask(Writer):
    task: Any = None

    async def _write(self, data: bytes) -> None:
        self.task = self.task or asyncio.current_task()
        if self.task is not asyncio.current_task():
            self._begun += 1
        await super()._write(data)


@breaks("R3", "writes_may_be_awaited_in_any_way")
class CountsWritesOfOtherTasksTwice(ReferenceBlobs):
    writer = OneTask


class Forgiving(Writer):
    async def write(self, data: bytes) -> None:
        try:
            await super().write(data)
        except BaseException:
            self._failed = None
            self._begun = self._done
            raise


@breaks("R3", "a_write_that_failed_is_not_published")
class PublishesAfterAFailedWrite(ReferenceBlobs):
    writer = Forgiving
