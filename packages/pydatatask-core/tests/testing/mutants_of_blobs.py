"""Repositories of blobs that change bytes, keep them in memory or hide errors (R4 to R7)."""

from __future__ import annotations

from typing import Any

from pydatatask_core.errors import JobNotFoundError, StoreError
from pydatatask_core.utils import AReadText, AWriteText

from .harness import Mutants
from .reference import Blob, Reader, ReferenceBlobs, Writer

MUTANTS = Mutants()
breaks = MUTANTS.breaks


class Cutting(Writer):
    async def _write(self, data: bytes) -> None:
        await super()._write(data[:300])


@breaks("R4 R5", "blobs_are_read_as_they_were_written", "text_is_utf8_and_keeps_its_newlines")
class WritesPartOfLongPieces(ReferenceBlobs):
    writer = Cutting


class Stripping(Writer):
    async def _write(self, data: bytes) -> None:
        await super()._write(data.replace(b"\r\n", b"\n"))


@breaks("R4", "blobs_are_read_as_they_were_written")
class TranslatesNewlinesOfBytes(ReferenceBlobs):
    writer = Stripping


@breaks("R4", "blobs_are_read_as_they_were_written", "a_local_file_may_be_empty")
class HasNoEmptyBlobs(ReferenceBlobs):
    async def put(self, job: str, value: Any = "present") -> None:
        if value.read(1):
            await super().put(job, value)


class LastPieceOnly(Writer):
    async def _write(self, data: bytes) -> None:
        if not data:
            self.blob = Blob()
        await super()._write(data)


@breaks("R4", "a_blob_is_the_concatenation_of_its_writes")
class BeginsAnewAtNothing(ReferenceBlobs):
    writer = LastPieceOnly


class TranslatingText(AReadText):
    async def read(self, n: int | None = None) -> str:
        return (await super().read(n)).replace("\r\n", "\n")


@breaks("R4", "text_is_utf8_and_keeps_its_newlines")
class TranslatesNewlinesOfText(ReferenceBlobs):
    text_reader = TranslatingText


class MarkedText(AWriteText):
    def __init__(self, base: Any) -> None:
        super().__init__(base, encoding="utf-8-sig")


@breaks("R3 R4", "text_is_utf8_and_keeps_its_newlines")
class WritesAByteOrderMark(ReferenceBlobs):
    text_writer = MarkedText


class UnmarkedText(AReadText):
    def __init__(self, base: Any) -> None:
        super().__init__(base, encoding="utf-8-sig")


@breaks("R4", "text_is_utf8_and_keeps_its_newlines")
class EatsAByteOrderMark(ReferenceBlobs):
    text_reader = UnmarkedText


class NarrowText(AReadText):
    async def read(self, n: int | None = None) -> str:
        return (await super().read(n)).replace("0", "")


@breaks("R4 R5", "any_text_is_read_as_it_was_written")
class LosesZeros(ReferenceBlobs):
    text_reader = NarrowText


class LenientWriter(AWriteText):
    def __init__(self, base: Any) -> None:
        super().__init__(base, errors="replace")


@breaks("R3", "text_that_cannot_be_encoded_is_not_published")
class ReplacesWhatCannotBeEncoded(ReferenceBlobs):
    text_writer = LenientWriter


class LenientReader(AReadText):
    def __init__(self, base: Any) -> None:
        super().__init__(base, errors="replace")


@breaks("R4", "reading_invalid_utf8_as_text_is_an_error")
class ReplacesWhatIsNoText(ReferenceBlobs):
    text_reader = LenientReader


class Generous(Reader):
    async def read(self, n: int | None = None) -> bytes:
        return await super().read(None if n is None else max(n, 2))


@breaks("R5", "reading_returns_at_most_the_requested_size")
class ReadsMore(ReferenceBlobs):
    reader = Generous


class Cycling(Reader):
    async def read(self, n: int | None = None) -> bytes:
        data = await super().read(n)
        if not data:
            self.position = 0
        return data


@breaks("R5", "reading_returns_at_most_the_requested_size")
class BeginsAgainAfterTheEnd(ReferenceBlobs):
    reader = Cycling


class GenerousText(AReadText):
    async def read(self, n: int | None = None) -> str:
        return await super().read(None if n is None else n + 1)


@breaks("R5", "reading_text_returns_at_most_the_requested_size")
class ReadsMoreText(ReferenceBlobs):
    text_reader = GenerousText


class Rewinding(Reader):
    async def read(self, n: int | None = None) -> bytes:
        if n is None:
            self.position = 0
        return await super().read(n)


@breaks("R3 R5", "reading_without_a_size_returns_the_rest")
class ReadsEverythingAgain(ReferenceBlobs):
    reader = Rewinding


class HoldingWriter(Writer):
    async def _write(self, data: bytes) -> None:
        self.held = getattr(self, "held", b"") + data

    async def _publish(self) -> None:
        self.blob.append(getattr(self, "held", b""))
        await super()._publish()


@breaks("R5", "streaming_a_large_blob_takes_little_memory")
class HoldsWhatIsWritten(ReferenceBlobs):
    writer = HoldingWriter


class HoldingReader(Reader):
    async def read(self, n: int | None = None) -> bytes:
        if not self.position:
            self.held = self.blob.read(1 << 30)
        return await super().read(n)


@breaks("R5", "streaming_a_large_blob_takes_little_memory")
class HoldsWhatIsRead(ReferenceBlobs):
    reader = HoldingReader


@breaks("R6", "an_absent_blob_cannot_be_read", "an_absent_value_has_no_local_file")
class AbsentIsEmpty(ReferenceBlobs):
    async def open(self, job: str, mode: Any = "r") -> Any:
        try:
            return await super().open(job, mode)
        except JobNotFoundError:
            if job != "absent":
                raise
            return self.reader(Blob())


@breaks("R6", "reading_from_a_store_that_fails_does_not_report_an_absent_blob")
class CallsEverythingAbsent(ReferenceBlobs):
    async def open(self, job: str, mode: Any = "r") -> Any:
        try:
            return await super().open(job, mode)
        except StoreError as e:
            raise JobNotFoundError(job, self) from e


class Hopeful(Writer):
    async def _publish(self) -> None:
        try:
            await super()._publish()
        except StoreError:
            return


@breaks("R6", "a_failed_write_raises")
class HopesThatItWasWritten(ReferenceBlobs):
    writer = Hopeful


@breaks("R6", "an_unsupported_mode_is_refused")
class TakesAnyMode(ReferenceBlobs):
    async def open(self, job: str, mode: Any = "r") -> Any:
        return await super().open(job, mode if mode in ("r", "rb", "w", "wb") else "wb")


class TakesAnyNameIn(ReferenceBlobs):
    mode = ""

    async def open(self, job: str, mode: Any = "r") -> Any:
        try:
            return await super().open(job, mode)
        except ValueError:
            if mode != self.mode:
                raise
            return None


@breaks("R7", "every_entry_refuses_invalid_job_ids")
class OpensAnyNameForReadingText(TakesAnyNameIn):
    mode = "r"


@breaks("R7", "every_entry_refuses_invalid_job_ids")
class OpensAnyNameForReading(TakesAnyNameIn):
    mode = "rb"


@breaks("R7", "every_entry_refuses_invalid_job_ids")
class OpensAnyNameForWritingText(TakesAnyNameIn):
    mode = "w"


@breaks("R7", "every_entry_refuses_invalid_job_ids")
class OpensAnyNameForWriting(TakesAnyNameIn):
    mode = "wb"
