"""Answers of a remote shell, each of which belongs to one request. Pure.

A request contains a mark of its own, a random number after a record separator (0x1e). The answer is
all output until the part ``=STATUS``. Each part of it stands between two marks; the rest is output
of programs, kept for error messages. So neither the output of a login script, nor the name or the
content of a file, nor an earlier answer can be mistaken for a part of this one.
"""

from __future__ import annotations

import re
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydatatask_ssh.errors import AnswerError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Answer", "parsing"]

MAX_PART_BYTES = 64 * 1024
"""The maximum size of a part. Contents of files are sent up to 4 KiB."""

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""The maximum size of an answer: the states of some hundred thousand jobs."""

MAX_MESSAGE_BYTES = 4096
"""The maximum size of the output of programs that is kept for an error message."""

_MAX_SHOWN = 200
_NAME = re.compile(r"[a-z]+( '?/[^' ]*'?){0,2}")


class Answer:
    """The answer to one request, as far as it has been received.

    :param request: the text of the request, for error messages.
    """

    def __init__(self, request: str) -> None:
        self.nonce = secrets.token_hex(8)
        self.parts: list[str] = []
        self.status: int | None = None
        """The exit status of the request, once the answer is complete."""
        self._request = request
        self._mark = b"\x1e" + self.nonce.encode()
        self._rest = b""
        self._inside = False
        self._message = b""
        self._size = 0

    def feed(self, data: bytes) -> bytes | None:
        """Process received bytes.

        :param data: the bytes.
        :return: the bytes after the end of the answer; None if it is not complete.
        :raises AnswerError: if the answer is not valid, so that its end cannot be found.
        """
        self._size += len(data)
        self._rest += data
        while True:
            part, mark, rest = self._rest.partition(self._mark)
            if not mark:
                self._check_sizes()
                return None
            self._rest = rest
            if not self._inside:
                self._keep(part)
            elif part.startswith(b"="):
                self.status = self._read_status(part[1:])
                return rest
            else:
                self.parts.append(part.decode("utf-8", "surrogateescape"))
            self._inside = not self._inside

    def _check_sizes(self) -> None:
        """Discard bytes that are not needed any more; raise an error if the answer is too long."""
        limit = MAX_PART_BYTES if self._inside else len(self._mark)
        if self._inside and len(self._rest) > limit:
            raise self._error(f"a part of it is longer than {limit} bytes")
        if self._size > MAX_ANSWER_BYTES:
            raise self._error(f"it is longer than {MAX_ANSWER_BYTES} bytes")
        if not self._inside and len(self._rest) > limit:
            self._keep(self._rest[:-limit])
            self._rest = self._rest[-limit:]

    def _keep(self, text: bytes) -> None:
        self._message = (self._message + text)[:MAX_MESSAGE_BYTES]

    def _read_status(self, text: bytes) -> int:
        if not text.isdigit() or len(text) > len("255"):
            raise self._error(f"its exit status is {text[:_MAX_SHOWN]!r}")
        return int(text)

    def _error(self, why: str) -> AnswerError:
        return AnswerError(f"the answer to the request {self.request!r} cannot be read: {why}")

    @property
    def request(self) -> str:
        """The name of the request and its first paths; the rest may contain secrets of the user."""
        found = _NAME.match(self._request)
        return found[0][:_MAX_SHOWN] if found else "launch"

    @property
    def message(self) -> str:
        """The output of programs in one line, or an empty string."""
        lines = self._message.decode(errors="replace").splitlines()
        return "; ".join(line for line in lines if line.strip())


@contextmanager
def parsing(request: str, parts: list[str]) -> Iterator[None]:
    """Convert errors of a parser to an error about one request.

    :param request: the name of the request.
    :param parts: the parts of the answer.
    :raises AnswerError: if the answer cannot be parsed.
    """
    try:
        yield
    except (ValueError, LookupError) as e:
        shown = ", ".join(repr(part[:80]) for part in parts[:5]) or "nothing"
        raise AnswerError(
            f"the answer to the request {request!r} cannot be read ({e}): it begins with {shown}"
        ) from e
