"""An answer of the API server, as it comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import PodManagerError, api_errors, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import aiohttp

__all__ = ["MAX_ANSWER_BYTES", "Answer"]

MAX_ANSWER_BYTES = 256 * 1024 * 1024
"""Bytes of one answer that is read whole. A page has 100 pods of at most 1.5 MiB each."""

_CHUNK_BYTES = 64 * 1024


class Answer:
    """An answer whose body is read bit by bit, what goes wrong meanwhile being one of our errors.

    :param response: the client library's object.
    :param action: what was asked, as an infinitive.
    :param where: of whom.
    """

    def __init__(self, response: aiohttp.ClientResponse, action: str, where: str) -> None:
        self._response = response
        self._action = action
        self._where = where

    async def read(self) -> bytes:
        """Read all of it.

        :raises PodManagerError: if it is larger than :data:`MAX_ANSWER_BYTES`.
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
        """Read it line by line."""
        while True:
            with api_errors(self._action, self._where):
                line = await self._response.content.readline()
            if not line:
                return
            yield line

    async def chunks(self, size: int) -> AsyncGenerator[bytes, None]:
        """Read it in pieces.

        :param size: how many bytes a piece has at most.
        """
        while True:
            with api_errors(self._action, self._where):
                chunk = await self._response.content.read(size)
            if not chunk:
                return
            yield chunk

    async def check(self) -> None:
        """Raise what it says if it is none of success.

        :raises PodManagerError: in that case.
        """
        response = self._response
        if not response.ok:
            said = response.headers.get("Retry-After", "")
            pause = float(said) if said.isdecimal() else None
            body = await self.read()
            raise refusal(self._action, self._where, response.status, body, pause)
