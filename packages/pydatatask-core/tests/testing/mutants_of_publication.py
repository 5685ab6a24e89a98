"""Repositories of blobs that publish too early, or mix up writers (R3, R9)."""

from __future__ import annotations

import asyncio
from typing import Any

from pydatatask_core.utils import AWriteText

from .harness import Mutants
from .reference import Blob, Reader, ReferenceBlobs, Writer

MUTANTS = Mutants()
breaks = MUTANTS.breaks

FAILED_WRITERS = (
    "a_failed_writer_leaves_no_key",
    "a_failed_writer_leaves_the_old_value",
)


class PublishingAtOnce(Writer):
    async def _write(self, data: bytes) -> None:
        await super()._write(data)
        await self._publish()


@breaks(
    "R3",
    "a_key_never_appears_before_its_value_is_whole",
    "the_old_value_stays_until_the_new_one_is_whole",
    *FAILED_WRITERS,
)
class PublishesWhatIsWritten(ReferenceBlobs):
    writer = PublishingAtOnce


@breaks("R3", "a_key_never_appears_before_its_value_is_whole")
class PublishesAtOpening(ReferenceBlobs):
    async def open(self, job: str, mode: Any = "r") -> Any:
        stream = await super().open(job, mode)
        if mode in ("w", "wb") and not await self.contains(job):
            await self.put(job, Blob())
        return stream


@breaks("R3", "the_old_value_stays_until_the_new_one_is_whole")
class DeletesAtOpening(ReferenceBlobs):
    async def open(self, job: str, mode: Any = "r") -> Any:
        stream = await super().open(job, mode)
        if mode in ("w", "wb"):
            await self.delete(job)
        return stream


class PublishingAlways(Writer):
    async def __aexit__(self, *_: Any) -> None:
        await self.close()


class PublishingAlwaysText(AWriteText):
    async def __aexit__(self, *_: Any) -> None:
        await self.close()


@breaks("R3", *FAILED_WRITERS)
class PublishesOnErrors(ReferenceBlobs):
    writer = PublishingAlways


@breaks("R3", "text_that_cannot_be_encoded_is_not_published", *FAILED_WRITERS)
class PublishesTextOnErrors(ReferenceBlobs):
    text_writer = PublishingAlwaysText


class PublishingWhenAborted(Writer):
    async def _discard(self) -> None:
        if self._failure is None and self._final_state == "discarded":
            await self._publish()


class PublishingWhenCancelled(Writer):
    async def __aexit__(self, kind: Any, exc: Any, traceback: Any) -> None:
        if kind is asyncio.CancelledError:
            await self.close()
        else:
            await super().__aexit__(kind, exc, traceback)


@breaks("R3", *FAILED_WRITERS)
class PublishesOnCancellation(ReferenceBlobs):
    writer = PublishingWhenCancelled


class PublishingWhenForgotten(Writer):
    def __del__(self) -> None:
        if self._final_state is None and self.repo.store.exists:
            self.repo.store._values[self.job] = self.blob


@breaks("R3", *FAILED_WRITERS)
class PublishesWhenForgotten(ReferenceBlobs):
    writer = PublishingWhenForgotten


class Littering(Writer):
    async def _discard(self) -> None:
        await self.repo.put("litter", self.blob)


@breaks("R3", "a_failed_writer_leaves_the_old_value")
class LeavesListedLitter(ReferenceBlobs):
    writer = Littering


class Appending(Writer):
    async def _publish(self) -> None:
        old = await self.repo.get(self.job)
        if old is not None and old.read(7) == b"the new":
            data = self.blob.read(1000)
            self.blob.append(old.read(1000)[len(data) :])
        await super()._publish()


@breaks("R3", "a_shorter_value_replaces_a_longer_one")
class OverwritesInPlace(ReferenceBlobs):
    writer = Appending


class Rereading(Reader):
    repo: Any

    async def read(self, n: int | None = None) -> bytes:
        if self.position == 4:
            self.blob = await self.repo.get("job") or self.blob
        return await super().read(n)


@breaks("R3", "a_reader_is_not_disturbed_by_a_new_value")
class ReadsTheNewestValue(ReferenceBlobs):
    def reader(self, blob: Blob) -> Reader:
        reader = Rereading(blob)
        reader.repo = self
        return reader


class PublishingAgain(Writer):
    async def close(self) -> None:
        await super().close()
        await self._publish()


@breaks("R3", "closing_again_publishes_nothing")
class PublishesAtEachClose(ReferenceBlobs):
    writer = PublishingAgain


class TakingMore(Writer):
    async def write(self, data: bytes) -> None:
        if self._final_state is None:
            await super().write(data)


@breaks("R3", "writing_to_a_closed_or_aborted_stream_raises")
class TakesMoreAfterTheEnd(ReferenceBlobs):
    writer = TakingMore


@breaks("R3", "published_values_survive")
class KeepsValuesInItsObject(ReferenceBlobs):
    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.mine: dict[str, Blob] = {}

    async def put(self, job: str, value: Any = "present") -> None:
        await super().put(job, value)
        self.mine[job] = value

    async def get(self, job: str) -> Any:
        blob = await super().get(job)
        return blob and self.mine.get(job)


class PublishingLater(Writer):
    publishing = False

    async def _publish(self) -> None:
        self.publishing = True
        await super()._publish()
        late = self.repo.__dict__.pop("late", None)
        if late is not None:
            await self.repo.put(self.job, late)

    async def _discard(self) -> None:
        if self.publishing:
            self.repo.__dict__["late"] = self.blob


@breaks("R9", "a_cancelled_writer_publishes_nothing_later")
class GoesOnWhenCancelled(ReferenceBlobs):
    writer = PublishingLater


class MixingWriters(Writer):
    key: Any = None

    async def _write(self, data: bytes) -> None:
        others = self.repo.__dict__.setdefault("others", {})
        others.setdefault(self.key or self.job, self.blob).append(data)

    async def _publish(self) -> None:
        others = self.repo.__dict__.setdefault("others", {})
        self.blob = others.pop(self.key or self.job, self.blob)
        await super()._publish()

    async def _discard(self) -> None:
        self.repo.__dict__.setdefault("others", {}).pop(self.key or self.job, None)


@breaks(
    "R3 R9", "concurrent_writers_of_a_key_leave_one_whole_value", "the_writer_that_closes_last_wins"
)
class OneTemporaryFileAJob(ReferenceBlobs):
    writer = MixingWriters


class MixingJobs(MixingWriters):
    key = "everything"


@breaks(
    "R3 R9",
    "different_keys_can_be_written_concurrently",
    "concurrent_writers_of_a_key_leave_one_whole_value",
)
class OneTemporaryFileForAll(ReferenceBlobs):
    writer = MixingJobs
