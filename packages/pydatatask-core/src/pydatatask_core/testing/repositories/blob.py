"""The contract of repositories of blobs, as tests."""

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
"""How much of a large blob is in hand at once."""

SMALL = 7
"""What is read in pieces of up to so many bytes is small itself, to save time."""

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
    """What holds for any repository of blobs, beside what holds for any repository.

    Give the fixture ``repo``; jobs are added by writing blobs.
    """

    large: ClassVar[int] = 32 * MEBIBYTE
    """How many bytes make a large blob."""

    memory_bound: ClassVar[int] = 8 * MEBIBYTE
    """How many bytes of memory suffice to stream it; 0 for a repository that lives in memory."""

    async def populate(self, repo: Any, job: str) -> None:
        """Write a small blob."""
        await write_blob(repo, job, b"the value of " + job.encode())

    def entries(self, repo: Any) -> dict[str, Callable[[Any], Any]]:
        """Add opening, in each mode and of each kind."""
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
    async def test_bytes_out_are_bytes_in(self, repo: Any, data: bytes) -> None:
        """R4: all of them, and none at all."""
        await write_blob(repo, JOB, data)
        assert await read_blob(repo, JOB) == data
        assert await repo.contains(JOB)

    async def test_a_blob_is_the_sum_of_what_was_written(self, repo: Any) -> None:
        """R4: however it was cut into writes."""

        async def check(pieces: list[bytes]) -> None:
            async with await repo.open(JOB, "wb") as stream:
                for piece in pieces:
                    await stream.write(piece)
            assert await read_blob(repo, JOB) == b"".join(pieces)

        await for_all(st.lists(st.binary()), check)

    @pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:20]))
    async def test_text_is_utf8_and_keeps_its_newlines(self, repo: Any, text: str) -> None:
        """R4: what is stored is the encoded text, what is read is the text."""
        async with await repo.open(JOB, "w") as stream:
            await stream.write(text[:1])
            await stream.write(text[1:])
        assert await read_blob(repo, JOB) == text.encode()
        async with await repo.open(JOB, "r") as stream:
            assert await stream.read() == text

    async def test_any_text_comes_back(self, repo: Any) -> None:
        """R4: whatever Unicode it is."""

        async def check(text: str) -> None:
            async with await repo.open(JOB, "w") as stream:
                await stream.write(text)
            async with await repo.open(JOB, "r") as stream:
                assert await stream.read() == text

        await for_all(st.text(), check)

    async def test_text_that_cannot_be_encoded_is_not_published(self, repo: Any) -> None:
        """R3: half a surrogate pair is no text, so the writer has failed."""

        async def write() -> None:
            async with await repo.open(JOB, "w") as stream:
                await stream.write("good")
                await stream.write("\ud800")

        assert isinstance(await failure_of(write()), UnicodeEncodeError)
        await assert_absent(repo, JOB)

    async def test_bytes_that_are_no_text_are_an_error(self, repo: Any) -> None:
        """R4: never replaced silently."""
        await write_blob(repo, JOB, b"caf\xe9 au lait")
        async with await repo.open(JOB, "r") as stream:
            with pytest.raises(UnicodeDecodeError):
                await stream.read()

    @pytest.mark.parametrize("size", [1, 7, 4096, 100_000])
    async def test_reading_gives_at_most_what_was_asked_for(self, repo: Any, size: int) -> None:
        """R5: and only an empty result is the end, which stays the end."""
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
    async def test_reading_text_gives_at_most_what_was_asked_for(
        self, repo: Any, size: int
    ) -> None:
        """R5: in characters, whole ones."""
        text = TEXTS[-1][: 9000 if size > SMALL else 50]
        await write_blob(repo, JOB, text.encode())
        pieces = []
        async with await repo.open(JOB, "r") as stream:
            while piece := await stream.read(size):
                pieces.append(piece)
            assert await stream.read(size) == ""
        assert max(map(len, pieces)) <= size
        assert "".join(pieces) == text

    async def test_reading_without_a_size_gives_the_rest(self, repo: Any) -> None:
        """R5: what was read before is not given again."""
        await write_blob(repo, JOB, b"0123456789")
        async with await repo.open(JOB, "rb") as stream:
            assert (await stream.read(3), await stream.read()) == (b"012", b"3456789")
        async with await repo.open(JOB, "r") as stream:
            assert (await stream.read(3), await stream.read()) == ("012", "3456789")

    async def test_streaming_a_large_blob_takes_little_memory(self, repo: Any) -> None:
        """R5: both ways, whatever its size."""
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
        """R6: this one error means that it is not there."""
        with pytest.raises(JobNotFoundError, match=ABSENT):
            await repo.open(ABSENT, mode)
        await assert_absent(repo, ABSENT)

    @pytest.mark.parametrize("mode", ["r", "rb"])
    async def test_a_store_that_fails_does_not_call_a_blob_absent(
        self, broken: Any, mode: str
    ) -> None:
        """R6: reading raises an error of the store."""

        async def read() -> None:
            async with await broken.open(JOB, mode) as stream:
                await stream.read()

        failure = await failure_of(read())
        assert isinstance(failure, StoreError), failure

    @pytest.mark.parametrize("mode", ["w", "wb"])
    async def test_a_write_that_failed_says_so(self, broken: Any, mode: str) -> None:
        """R6: at the latest when the stream is closed."""

        async def write() -> None:
            async with await broken.open(JOB, mode) as stream:
                await stream.write("value" if mode == "w" else b"value")

        failure = await failure_of(write())
        assert isinstance(failure, StoreError), failure

    @pytest.mark.parametrize("mode", ["", "x", "a", "rw", "r+", "wt", "br"])
    async def test_a_mode_that_it_does_not_have_is_refused(self, repo: Any, mode: str) -> None:
        """R6: never taken for another one."""
        with pytest.raises(ValueError, match="mode"):
            await repo.open(JOB, mode)
        await assert_absent(repo, JOB)
