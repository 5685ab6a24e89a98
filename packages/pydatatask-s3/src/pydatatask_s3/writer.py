"""The stream that writes an object."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from pydatatask_core.utils import AtomicWriter, run_to_completion

from .multipart import MultipartUpload, part_size

if TYPE_CHECKING:
    from .object_ref import ObjectRef

__all__ = ["ObjectWriter"]


class ObjectWriter(AtomicWriter[bytes]):
    """A stream that writes an object, which becomes visible as a whole when it is closed.

    An object that fits into one part is uploaded in one request when the stream is closed. A
    larger one is uploaded in parts as it is written; only the parts in transit and the one being
    filled are in memory.

    :param ref: the object to write.
    :param content_type: its MIME type.
    :param size: the size of a part in bytes.
    """

    def __init__(self, ref: ObjectRef, content_type: str, size: int) -> None:
        self._ref = ref
        self._content_type = content_type
        self._first_size = self._size = size
        self._buffer = bytearray()
        self._upload: MultipartUpload | None = None

    async def _write(self, data: bytes) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(
                f"{self!r} takes bytes, not {type(data).__name__}; to write text, use mode 'w'"
            )
        rest = memoryview(data).cast("B")
        while rest:
            if len(self._buffer) == self._size:
                await self._send()
            room = self._size - len(self._buffer)
            self._buffer += rest[:room]
            rest = rest[room:]

    async def _publish(self) -> None:
        if self._upload is None:
            # Not cancellable: the server may still act on a request that the client has cancelled.
            await run_to_completion(self._put())
            return
        await self._send()
        await self._upload.complete()

    async def _discard(self) -> None:
        self._buffer = bytearray()
        if self._upload is not None:
            await run_to_completion(self._upload.abort())

    async def _send(self) -> None:
        if self._upload is None:
            self._upload = MultipartUpload(self._ref, self._content_type)
        buffered, self._buffer = self._buffer, bytearray()
        await self._upload.send(buffered)
        self._size = part_size(self._upload.next_number, self._first_size)

    async def _put(self) -> None:
        with self._ref.errors("write"):
            await self._ref.client.put_object(
                **self._ref.address,
                Body=io.BytesIO(self._buffer),
                ContentType=self._content_type,
            )

    def __repr__(self) -> str:
        return f"<{str(self._ref)!r} for writing>"
