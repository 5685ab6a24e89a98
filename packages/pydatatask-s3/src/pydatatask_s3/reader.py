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

from .errors import is_absent, translate_error

if TYPE_CHECKING:
    from typing import Self

    from .object_ref import ObjectRef

__all__ = ["ObjectReader"]

log = logging.getLogger("pydatatask.repository")

MAX_RESUMPTIONS = 3
"""The maximum number of consecutive resumptions of a body that receive no data."""

BLOCK_BYTES = 1024 * 1024


class ObjectReader(ReadStream):
    """A stream that reads an object as it arrives, buffering no more than the connection does.

    If the connection is lost in the middle of a body, the stream requests the rest, on condition
    that the object is unchanged. Only one task may read at a time; a read that fails or is
    cancelled loses no bytes. Use :meth:`open` to create one.
    """

    def __init__(self, ref: ObjectRef, answer: Any) -> None:
        self._ref = ref
        self._body: Any = answer["Body"]
        self._size: int = answer["ContentLength"]
        self._etag: str | None = answer.get("ETag")
        self._position = 0
        self._failures = 0
        self._body_buffer = b""
        self._closed = False
        self._complete = False

    @classmethod
    async def open(cls, ref: ObjectRef) -> Self:
        """Request an object.

        :param ref: the object.
        :raises JobNotFoundError: if it does not exist.
        """
        with ref.errors("read"):
            try:
                answer = await ref.client.get_object(**ref.address)
            except ClientError as e:
                if is_absent(e):
                    raise JobNotFoundError(ref.job, ref.repository) from e
                raise
        return cls(ref, answer)

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
        if self._body_buffer:
            data, self._body_buffer = self._body_buffer[:n], self._body_buffer[n:]
            return data
        return await self._read_some(n)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._body_buffer = b""
            await self._release()

    async def _read_rest(self) -> bytes:
        parts = [self._body_buffer]
        try:
            while data := await self._read_some(BLOCK_BYTES):
                parts.append(data)
        except BaseException:
            self._body_buffer = b"".join(parts)
            raise
        self._body_buffer = b""
        return b"".join(parts)

    async def _read_some(self, n: int) -> bytes:
        while self._position < self._size:
            if self._body is None:
                await self._resume()
            try:
                data: bytes = await self._body.read(min(n, self._size - self._position))
            except Exception as e:  # noqa: BLE001 - HTTP libraries have their own; see _broken_error()
                await self._drop_body(e)
                continue
            if data:
                self._position += len(data)
                self._failures = 0
                return data
            await self._drop_body(None)
        await self._check_end()
        return b""

    async def _check_end(self) -> None:
        """Read once past the last byte, which makes the client library compare checksums."""
        if not self._complete and self._body is not None:
            with self._ref.errors("read"):
                await self._body.read(1)
        self._complete = True

    async def _drop_body(self, error: Exception | None) -> None:
        """Release an interrupted body, and raise if it cannot be resumed."""
        await self._release()
        self._failures += 1
        is_permanent = self._etag is None or isinstance(error, FlexibleChecksumError)
        if is_permanent or self._failures > MAX_RESUMPTIONS:
            raise self._broken_error(error) from error
        log.info(
            "%s was interrupted after %d of %d bytes, resuming: %s",
            self._ref,
            self._position,
            self._size,
            error or "the connection was closed",
        )

    async def _resume(self) -> None:
        ref = self._ref
        with ref.errors("resume reading"):
            answer = await ref.client.get_object(
                **ref.address, Range=f"bytes={self._position}-", IfMatch=self._etag or ""
            )
        self._body = answer["Body"]
        expected = f"bytes {self._position}-{self._size - 1}/{self._size}"
        if answer.get("ContentRange") == expected and answer.get("ETag") == self._etag:
            return
        # Some servers ignore ranges and conditions, and send the whole current object.
        await self._release()
        raise StoreError(
            f"resume reading job {ref.job!r}",
            ref.repository,
            f"{ref}: requested {expected} of {self._etag}, but the server sent "
            f"{answer.get('ContentRange') or 'everything'} of {answer.get('ETag')}",
        )

    def _broken_error(self, error: Exception | None) -> Exception:
        ref, action = self._ref, f"read job {self._ref.job!r}"
        position = f"{ref}, after {self._position} of {self._size} bytes"
        if error is None:
            return StoreConnectionError(action, ref.repository, f"{position}: connection lost")
        return translate_error(error, ref.repository, action, position)

    async def _release(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            closing = body.close()
            if inspect.isawaitable(closing):  # with only one of aiobotocore's HTTP libraries
                await closing

    def __repr__(self) -> str:
        return f"<{str(self._ref)!r} for reading>"
