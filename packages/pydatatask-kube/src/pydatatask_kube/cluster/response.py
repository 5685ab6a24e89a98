"""A streamed response of the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_kube.errors import PodManagerError, api_error, api_errors

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import aiohttp

__all__ = ["MAX_ANSWER_BYTES", "ApiResponse"]

MAX_ANSWER_BYTES = 256 * 1024 * 1024
"""Bytes of one answer that is read whole. A page has 100 pods of at most 1.5 MiB each."""

_CHUNK_BYTES = 64 * 1024


class ApiResponse:
    """A response whose body is read incrementally, with errors raised as :class:`PodManagerError`.

    :param response: the client library's response.
    :param action: the action that was requested, as an infinitive.
    :param where: the namespace and server.
    """

    def __init__(self, response: aiohttp.ClientResponse, action: str, where: str) -> None:
        self._response = response
        self._action = action
        self._where = where

    async def read(self) -> bytes:
        """Read the whole body.

        :raises PodManagerError: if it exceeds :data:`MAX_ANSWER_BYTES`.
        """
        body = bytearray()
        async for chunk in self.chunks(_CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                cause = f"the answer has more than {MAX_ANSWER_BYTES:,} bytes"
                status = self._response.status
                raise PodManagerError(self._action, self._where, cause, status=status)
        return bytes(body)

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """Read the body line by line."""
        while True:
            with api_errors(self._action, self._where):
                line = await self._response.content.readline()
            if not line:
                return
            yield line

    async def chunks(self, size: int) -> AsyncGenerator[bytes, None]:
        """Read the body in chunks.

        :param size: the maximum size of a chunk in bytes.
        """
        while True:
            with api_errors(self._action, self._where):
                chunk = await self._response.content.read(size)
            if not chunk:
                return
            yield chunk

    async def check(self) -> None:
        """Check that the status is one of success.

        :raises PodManagerError: if it is not, with the message of the server.
        """
        response = self._response
        if not response.ok:
            retry_after = response.headers.get("Retry-After", "")
            seconds = float(retry_after) if retry_after.isdecimal() else None
            body = await self.read()
            raise api_error(self._action, self._where, response.status, body, seconds)
