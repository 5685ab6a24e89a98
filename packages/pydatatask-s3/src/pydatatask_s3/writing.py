"""The stream that an object is written through."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from pydatatask_core.utils import AtomicWriter, finish

from .multipart import MultipartUpload, part_size

if TYPE_CHECKING:
    from .place import ObjectPlace

__all__ = ["ObjectWriter"]


class ObjectWriter(AtomicWriter[bytes]):
    """Writes an object that appears whole when the stream is closed.

    What fits into one part is put in one request when the stream is closed. Anything larger is
    uploaded in parts meanwhile, and what is held in memory are those that are on their way and
    the one that is being gathered.

    :param place: where the object is to be.
    :param content_type: its MIME type.
    :param size: how many bytes make a part.
    """

    def __init__(self, place: ObjectPlace, content_type: str, size: int) -> None:
        self._place = place
        self._content_type = content_type
        self._first_size = self._size = size
        self._gathered = bytearray()
        self._upload: MultipartUpload | None = None

    async def _write(self, data: bytes) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(
                f"{self!r} takes bytes, not {type(data).__name__}; for text open it with mode 'w'"
            )
        rest = memoryview(data).cast("B")
        while rest:
            if len(self._gathered) == self._size:
                await self._send()
            room = self._size - len(self._gathered)
            self._gathered += rest[:room]
            rest = rest[room:]

    async def _publish(self) -> None:
        if self._upload is None:
            # To its end, since the server may act on a request that was given up.
            await finish(self._put())
            return
        await self._send()
        await self._upload.complete()

    async def _discard(self) -> None:
        self._gathered = bytearray()
        if self._upload is not None:
            await finish(self._upload.abort())

    async def _send(self) -> None:
        if self._upload is None:
            self._upload = MultipartUpload(self._place, self._content_type)
        gathered, self._gathered = self._gathered, bytearray()
        await self._upload.send(gathered)
        self._size = part_size(self._upload.next_number, self._first_size)

    async def _put(self) -> None:
        with self._place.errors("write"):
            await self._place.client.put_object(
                **self._place.address,
                Body=io.BytesIO(self._gathered),
                ContentType=self._content_type,
            )

    def __repr__(self) -> str:
        return f"<{str(self._place)!r} for writing>"
