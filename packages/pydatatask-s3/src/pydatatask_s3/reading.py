"""The stream that reads an object."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, FlexibleChecksumError

from pydatatask_core.errors import (
    JobNotFoundError,
    StoreConnectionError,
    StoreError,
    StreamClosedError,
)
from pydatatask_core.utils import ReadStream

from .errors import is_absent, translated

if TYPE_CHECKING:
    from typing import Self

    from .place import ObjectPlace

__all__ = ["ObjectReader"]

log = logging.getLogger("pydatatask.repository")

RESUMPTIONS = 3
"""The maximum number of consecutive resumptions of a body that receive no data."""

BLOCK = 1024 * 1024


class ObjectReader(ReadStream):
    """A stream that reads an object as it arrives, buffering no more than the connection does.

    If the connection is lost in the middle of a body, the stream requests the rest, on condition
    that the object is unchanged. Only one task may read at a time; a read that fails or is
    cancelled loses no bytes. Use :meth:`open` to create one.
    """

    def __init__(self, place: ObjectPlace, answer: Any) -> None:
        self._place = place
        self._body: Any = answer["Body"]
        self._size: int = answer["ContentLength"]
        self._etag: str | None = answer.get("ETag")
        self._position = 0
        self._failures = 0
        self._kept = b""
        self._closed = False
        self._complete = False

    @classmethod
    async def open(cls, place: ObjectPlace) -> Self:
        """Request an object.

        :param place: the object.
        :raises JobNotFoundError: if it does not exist.
        """
        with place.errors("read"):
            try:
                answer = await place.client.get_object(**place.address)
            except ClientError as e:
                if is_absent(e):
                    raise JobNotFoundError(place.job, place.repository) from e
                raise
        return cls(place, answer)

    async def read(self, n: int | None = None) -> bytes:
        """Read up to n bytes, as many as have arrived, or the rest of the object.

        :raises StreamClosedError: if the stream is closed.
        :raises StoreError: if the body is interrupted and cannot be resumed.
        """
        if self._closed:
            raise StreamClosedError(f"{self!r} is closed; open the object again to read it")
        if n is None or n < 0:
            return await self._read_rest()
        if n == 0:
            return b""
        if self._kept:
            data, self._kept = self._kept[:n], self._kept[n:]
            return data
        return await self._read_some(n)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._kept = b""
            await self._release()

    async def _read_rest(self) -> bytes:
        parts = [self._kept]
        try:
            while data := await self._read_some(BLOCK):
                parts.append(data)
        except BaseException:
            self._kept = b"".join(parts)
            raise
        self._kept = b""
        return b"".join(parts)

    async def _read_some(self, n: int) -> bytes:
        while self._position < self._size:
            if self._body is None:
                await self._resume()
            try:
                data: bytes = await self._body.read(min(n, self._size - self._position))
            except Exception as e:  # noqa: BLE001 - HTTP libraries have their own; see _broken()
                await self._break_off(e)
                continue
            if data:
                self._position += len(data)
                self._failures = 0
                return data
            await self._break_off(None)
        await self._check_end()
        return b""

    async def _check_end(self) -> None:
        """Read once past the last byte, which makes the client library compare checksums."""
        if not self._complete and self._body is not None:
            with self._place.errors("read"):
                await self._body.read(1)
        self._complete = True

    async def _break_off(self, error: Exception | None) -> None:
        """Release an interrupted body, and raise if it cannot be resumed."""
        await self._release()
        self._failures += 1
        hopeless = self._etag is None or isinstance(error, FlexibleChecksumError)
        if hopeless or self._failures > RESUMPTIONS:
            raise self._broken(error) from error
        log.info(
            "%s was interrupted after %d of %d bytes, resuming: %s",
            self._place,
            self._position,
            self._size,
            error or "the connection was closed",
        )

    async def _resume(self) -> None:
        place = self._place
        with place.errors("resume reading"):
            answer = await place.client.get_object(
                **place.address, Range=f"bytes={self._position}-", IfMatch=self._etag or ""
            )
        self._body = answer["Body"]
        expected = f"bytes {self._position}-{self._size - 1}/{self._size}"
        if answer.get("ContentRange") == expected and answer.get("ETag") == self._etag:
            return
        # Some servers ignore ranges and conditions, and send the whole current object.
        await self._release()
        raise StoreError(
            f"resume reading job {place.job!r}",
            place.repository,
            f"{place}: requested {expected} of {self._etag}, but the server sent "
            f"{answer.get('ContentRange') or 'everything'} of {answer.get('ETag')}",
        )

    def _broken(self, error: Exception | None) -> Exception:
        place, action = self._place, f"read job {self._place.job!r}"
        where = f"{place}, after {self._position} of {self._size} bytes"
        if error is None:
            return StoreConnectionError(action, place.repository, f"{where}: connection lost")
        return translated(error, place.repository, action, where)

    async def _release(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            closing = body.close()
            if inspect.isawaitable(closing):  # with only one of aiobotocore's HTTP libraries
                await closing

    def __repr__(self) -> str:
        return f"<{str(self._place)!r} for reading>"
