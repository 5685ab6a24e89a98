"""Conformance tests for repositories of blobs."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import strategies as st

from pydatatask_core.errors import JobNotFoundError, StoreError
from pydatatask_core.testing.jobs import ABSENT, JOB
from pydatatask_core.testing.memory import peak_memory

from .base import RepositoryContract
from .local_files import LocalFileLaws
from .publication import PublicationLaws, read_blob, write_blob
from .queries import assert_absent, failure_of
from .unawaited_writes import ForgottenWriteLaws
from .values import for_all

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BlobRepositoryContract"]

MEBIBYTE = 1 << 20

BLOCK = MEBIBYTE // 4
"""The size in bytes of the pieces in which a large blob is streamed."""

SMALL = 7
"""Piece size in bytes up to which tests read a small blob only, to save time."""

TEXTS = (
    "",
    "plain",
    "unix\nwindows\r\nold mac\rend",
    "\r\n",
    "\N{BYTE ORDER MARK}after a byte order mark",
    "next line\x85line separator\N{LINE SEPARATOR}vertical tab\x0bform feed\x0c",
    "nul\0escape\x1bsubstitute\x1a",
    "\N{LATIN SMALL LETTER E WITH ACUTE}\N{SNOWMAN}\N{GRINNING FACE}" * 3000,
)


class BlobRepositoryContract(
    PublicationLaws, ForgottenWriteLaws, LocalFileLaws, RepositoryContract
):
    """Laws of repositories of blobs, in addition to those of any repository.

    Provide the fixture ``repo``; the suite adds jobs by writing blobs.
    """

    large: ClassVar[int] = 32 * MEBIBYTE
    """The size in bytes of a large blob."""

    memory_bound: ClassVar[int] = 8 * MEBIBYTE
    """Memory in bytes that suffices to stream a large blob; 0 if values live in memory."""

    async def populate(self, repo: Any, job: str) -> None:
        """Write a small blob."""
        await write_blob(repo, job, b"the value of " + job.encode())

    def entries(self, repo: Any) -> dict[str, Callable[[Any], Any]]:
        """Return the inherited entries, and opening in each mode and of each kind."""
        opening = {
            f"open {mode}": lambda job, mode=mode: repo.open(job, mode)
            for mode in ("r", "rb", "w", "wb")
        }
        ways = {"local_file": repo.local_file, "open_sync": repo.open_sync}
        entering = {
            f"{name} {mode}": lambda job, way=way, mode=mode: way(job, mode).__aenter__()
            for name, way in ways.items()
            for mode in ("r", "rb", "w", "wb")
        }
        return {**super().entries(repo), **opening, **entering}

    @pytest.mark.parametrize("data", [b"", bytes(range(256)) * 300, b"\r\n\n\r"], ids=len)
    async def test_blobs_are_read_as_they_were_written(self, repo: Any, data: bytes) -> None:
        """R4: an empty blob as well."""
        await write_blob(repo, JOB, data)
        assert await read_blob(repo, JOB) == data
        assert await repo.contains(JOB)

    async def test_a_blob_is_the_concatenation_of_its_writes(self, repo: Any) -> None:
        """R4: however the data is cut into writes."""

        async def check(pieces: list[bytes]) -> None:
            async with await repo.open(JOB, "wb") as stream:
                for piece in pieces:
                    await stream.write(piece)
            assert await read_blob(repo, JOB) == b"".join(pieces)

        await for_all(st.lists(st.binary()), check)

    @pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:20]))
    async def test_text_is_utf8_and_keeps_its_newlines(self, repo: Any, text: str) -> None:
        """R4: the store holds the UTF-8 encoding, and reading decodes it."""
        async with await repo.open(JOB, "w") as stream:
            await stream.write(text[:1])
            await stream.write(text[1:])
        assert await read_blob(repo, JOB) == text.encode()
        async with await repo.open(JOB, "r") as stream:
            assert await stream.read() == text

    async def test_any_text_is_read_as_it_was_written(self, repo: Any) -> None:
        """R4: with any Unicode characters."""

        async def check(text: str) -> None:
            async with await repo.open(JOB, "w") as stream:
                await stream.write(text)
            async with await repo.open(JOB, "r") as stream:
                assert await stream.read() == text

        await for_all(st.text(), check)

    async def test_text_that_cannot_be_encoded_is_not_published(self, repo: Any) -> None:
        """R3: a lone surrogate cannot be encoded, so the write fails."""

        async def write() -> None:
            async with await repo.open(JOB, "w") as stream:
                await stream.write("good")
                await stream.write("\ud800")

        assert isinstance(await failure_of(write()), UnicodeEncodeError)
        await assert_absent(repo, JOB)

    async def test_reading_invalid_utf8_as_text_is_an_error(self, repo: Any) -> None:
        """R4: invalid bytes are never replaced silently."""
        await write_blob(repo, JOB, b"caf\xe9 au lait")
        async with await repo.open(JOB, "r") as stream:
            with pytest.raises(UnicodeDecodeError):
                await stream.read()

    @pytest.mark.parametrize("size", [1, 7, 4096, 100_000])
    async def test_reading_returns_at_most_the_requested_size(self, repo: Any, size: int) -> None:
        """R5: only an empty result means the end, and later reads return it again."""
        data = bytes(range(256)) * (300 if size > SMALL else 3)
        await write_blob(repo, JOB, data)
        pieces = []
        async with await repo.open(JOB, "rb") as stream:
            while piece := await stream.read(size):
                pieces.append(piece)
            assert await stream.read(size) == b""
            assert await stream.read() == b""
        assert max(map(len, pieces)) <= size
        assert b"".join(pieces) == data

    @pytest.mark.parametrize("size", [1, 7, 4096, 100_000])
    async def test_reading_text_returns_at_most_the_requested_size(
        self, repo: Any, size: int
    ) -> None:
        """R5: measured in whole characters."""
        text = TEXTS[-1][: 9000 if size > SMALL else 50]
        await write_blob(repo, JOB, text.encode())
        pieces = []
        async with await repo.open(JOB, "r") as stream:
            while piece := await stream.read(size):
                pieces.append(piece)
            assert await stream.read(size) == ""
        assert max(map(len, pieces)) <= size
        assert "".join(pieces) == text

    async def test_reading_without_a_size_returns_the_rest(self, repo: Any) -> None:
        """R5: data read before is not returned again."""
        await write_blob(repo, JOB, b"0123456789")
        async with await repo.open(JOB, "rb") as stream:
            assert (await stream.read(3), await stream.read()) == (b"012", b"3456789")
        async with await repo.open(JOB, "r") as stream:
            assert (await stream.read(3), await stream.read()) == ("012", "3456789")

    async def test_streaming_a_large_blob_takes_little_memory(self, repo: Any) -> None:
        """R5: in both directions, for a blob of any size."""
        if not self.memory_bound:
            pytest.skip(f"{type(self).__name__}.memory_bound is 0")
        written, read = sha256(), sha256()
        with peak_memory() as peak:
            async with await repo.open(JOB, "wb") as stream:
                for number in range(self.large // BLOCK):
                    block = number.to_bytes(8, "big") * (BLOCK // 8)
                    written.update(block)
                    await stream.write(block)
            assert peak() < self.memory_bound
        with peak_memory() as peak:
            async with await repo.open(JOB, "rb") as stream:
                while block := await stream.read(BLOCK):
                    read.update(block)
            assert peak() < self.memory_bound
        assert read.digest() == written.digest()

    @pytest.mark.parametrize("mode", ["r", "rb"])
    async def test_an_absent_blob_cannot_be_read(self, repo: Any, mode: str) -> None:
        """R6: JobNotFoundError means that the job is absent, and nothing else."""
        with pytest.raises(JobNotFoundError, match=ABSENT):
            await repo.open(ABSENT, mode)
        await assert_absent(repo, ABSENT)

    @pytest.mark.parametrize("mode", ["r", "rb"])
    async def test_reading_from_a_store_that_fails_does_not_report_an_absent_blob(
        self, broken: Any, mode: str
    ) -> None:
        """R6: reading raises an error of the store."""

        async def read() -> None:
            async with await broken.open(JOB, mode) as stream:
                await stream.read()

        failure = await failure_of(read())
        assert isinstance(failure, StoreError), failure

    @pytest.mark.parametrize("mode", ["w", "wb"])
    async def test_a_failed_write_raises(self, broken: Any, mode: str) -> None:
        """R6: at the latest when the stream is closed."""

        async def write() -> None:
            async with await broken.open(JOB, mode) as stream:
                await stream.write("value" if mode == "w" else b"value")

        failure = await failure_of(write())
        assert isinstance(failure, StoreError), failure

    @pytest.mark.parametrize("mode", ["", "x", "a", "rw", "r+", "wt", "br"])
    async def test_an_unsupported_mode_is_refused(self, repo: Any, mode: str) -> None:
        """R6: it is never taken for another mode."""
        with pytest.raises(ValueError, match="mode"):
            await repo.open(JOB, mode)
        await assert_absent(repo, JOB)
