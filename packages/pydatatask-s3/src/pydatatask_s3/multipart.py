"""Multipart uploads of large objects, which stay invisible until they are complete."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from pydatatask_core.errors import StoreError
from pydatatask_core.utils import run_to_completion

from .errors import code_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef

    from .object_ref import ObjectRef

__all__ = ["MAX_CONCURRENT_PARTS", "MIN_PART_BYTES", "PART_BYTES", "MultipartUpload", "part_size"]

MIN_PART_BYTES = 5 * 1024 * 1024
PART_BYTES = 8 * 1024 * 1024
MAX_PARTS = 10_000
"""The limits of Amazon ("multipart upload limits", User Guide) and of compatible servers."""

MAX_CONCURRENT_PARTS = 3
"""The maximum number of parts in transit at once."""

_EQUAL_PARTS = 5000
_GROWTH = 1000
_ABORT_ATTEMPTS = 3
_LATE_PART_SECONDS = 0.25
"""Seconds to wait before an abort is repeated, in which parts in transit may still arrive."""


def part_size(number: int, first: int) -> int:
    """Return the size of a part in bytes.

    The first 5000 parts are equal. Then the size doubles every 1000 parts, so that an object of
    500 GiB fits even with the smallest first part.

    :param number: the number of the part, counting from one.
    :param first: the size of the first part in bytes.
    """
    grown = max(0, number - _EQUAL_PARTS + _GROWTH - 1) // _GROWTH
    return first << grown


class MultipartUpload:
    """A multipart upload in progress, which sends a few parts at once in background tasks.

    :param ref: the object to create.
    :param content_type: its MIME type.
    """

    def __init__(self, ref: ObjectRef, content_type: str) -> None:
        self._ref = ref
        self._content_type = content_type
        self._id: str | None = None
        self._number = 0
        self._tags: dict[int, str] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._may_arrive = False

    @property
    def next_number(self) -> int:
        """The number of the next part."""
        return self._number + 1

    async def send(self, data: bytes | bytearray) -> None:
        """Start sending a part once fewer than :data:`MAX_CONCURRENT_PARTS` are in transit.

        :meth:`complete` waits until all parts have been sent.

        :param data: the part; the caller must not modify it afterwards.
        :raises StoreError: if an earlier part could not be sent, or there are too many parts.
        """
        if self._id is None:
            # Not cancellable: an upload whose id is lost cannot be aborted.
            await run_to_completion(self._create())
        while len(self._sending) >= MAX_CONCURRENT_PARTS:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
        self._check()
        if self._number == MAX_PARTS:
            raise StoreError(
                f"write job {self._ref.job!r}",
                self._ref.repository,
                f"{self._ref}: the object needs more than {MAX_PARTS} parts, the maximum; "
                "set a larger part_size for the repository",
            )
        self._number += 1
        name = f"part {self._number} of {self._ref}"
        task = asyncio.create_task(self._send(self._number, data), name=name)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def complete(self) -> None:
        """Wait until all parts are sent, and make the object visible.

        :raises StoreError: if a part could not be sent, or the upload could not be completed.
        """
        while self._sending:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
            self._check()
        self._check()
        # Not cancellable: the server may still act on a request that the client has cancelled.
        await run_to_completion(self._complete_upload())

    async def abort(self) -> None:
        """Stop sending and delete all parts from the server; no-op if none has been sent."""
        for task in self._sending:
            task.cancel()
        if self._sending:
            self._may_arrive = True
            await asyncio.wait(self._sending)
        identity, self._id = self._id, None
        if identity is not None:
            await run_to_completion(self._abort(identity))

    async def _create(self) -> None:
        with self._ref.errors("write"):
            answer = await self._ref.client.create_multipart_upload(
                **self._ref.address, ContentType=self._content_type
            )
        self._id = answer["UploadId"]

    async def _send(self, number: int, data: bytes | bytearray) -> None:
        """Send a part; save a failure for the next call of :meth:`_check` in the writer's task."""
        assert self._id is not None
        try:
            with self._ref.errors("write"):
                answer = await self._ref.client.upload_part(
                    **self._ref.address,
                    UploadId=self._id,
                    PartNumber=number,
                    Body=io.BytesIO(data),
                )
            self._tags[number] = answer["ETag"]
        except Exception as e:  # noqa: BLE001 - raised by _check()
            self._failure = self._failure or e
            self._may_arrive = True

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _complete_upload(self) -> None:
        assert self._id is not None
        parts: Sequence[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": tag} for number, tag in sorted(self._tags.items())
        ]
        with self._ref.errors("write"):
            await self._ref.client.complete_multipart_upload(
                **self._ref.address, UploadId=self._id, MultipartUpload={"Parts": parts}
            )
        self._id = None

    async def _abort(self, identity: str) -> None:
        with self._ref.errors("abort the upload of"):
            for attempt in range(_ABORT_ATTEMPTS):
                if attempt:
                    await asyncio.sleep(_LATE_PART_SECONDS)
                try:
                    # A part in transit may arrive after the abort, which then has to be repeated
                    # ("Aborting a multipart upload", User Guide).
                    await self._ref.client.abort_multipart_upload(
                        **self._ref.address, UploadId=identity
                    )
                    await self._ref.client.list_parts(
                        **self._ref.address, UploadId=identity, MaxParts=1
                    )
                except ClientError as e:
                    if code_of(e) not in ("NoSuchUpload", "NoSuchBucket", "NoSuchKey"):
                        raise
                    if attempt or not self._may_arrive:
                        return
