"""A proxy between client and server, on the loopback interface, that injects faults."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

__all__ = ["Fault", "Proxy", "Request"]

BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Request:
    """A client's request."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]

    @property
    def kind(self) -> str:
        """The name of the operation in the S3 API."""
        is_object = self.path.strip("/").count("/") > 0
        if "partNumber" in self.query:
            return "UploadPart"
        if "uploads" in self.query:
            return "CreateMultipartUpload" if self.method == "POST" else "ListMultipartUploads"
        if "uploadId" in self.query:
            endings = {"POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}
            return endings.get(self.method, "ListParts")
        if not is_object:
            return {"GET": "ListObjectsV2", "PUT": "CreateBucket"}.get(self.method, "HeadBucket")
        verbs = {"GET": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}
        return verbs.get(self.method, "HeadObject")


@dataclass
class Fault:
    """A fault of the requests of one kind.

    :param kind: the name of the operation.
    :param times: the number of requests that fail before one succeeds.
    :param cut_request: the number of bytes of the request's body after which it is cut off.
    :param cut_answer: the number of bytes after which the response is cut off.
    :param stall_answer: the number of bytes after which the response stalls.
    :param answer: the status and error code to send without contacting the server.
    :param lose_answer: whether the server handles the request but its response is lost.
    """

    kind: str
    times: int = 1
    cut_request: int | None = None
    cut_answer: int | None = None
    stall_answer: int | None = None
    answer: tuple[int, str] | None = None
    lose_answer: bool = False


@dataclass
class Proxy:
    """A proxy that forwards each request over a new connection and applies its fault.

    :param port: the port of the server.
    """

    port: int
    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    on_request: Callable[[Request], object] = lambda request: None

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.endpoint = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client or the server has disconnected, or the test has ended
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        request = _parsed(head)
        self.seen.append(request.kind)
        self.on_request(request)
        fault = self._fault_for(request.kind)
        if fault is not None and fault.answer is not None:
            length = int(request.headers.get("content-length", 0))
            if "100-continue" not in request.headers.get("expect", ""):
                await reader.readexactly(length)
            writer.write(_refusal(*fault.answer, head_only=request.method == "HEAD"))
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            return
        lines = head.rstrip(b"\r\n").split(b"\r\n")
        lines = [line for line in lines if not line.lower().startswith(b"connection:")]
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            back.write(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n")
            await self._exchange(reader, writer, there, back, fault or Fault(""))
        finally:
            back.transport.abort()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        fault: Fault,
    ) -> None:
        sending = asyncio.create_task(_pump(reader, back, fault.cut_request))
        answering = asyncio.create_task(self._answer(there, writer, fault))
        try:
            if fault.cut_request is not None:
                await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
            else:
                await answering
        finally:
            for task in (sending, answering):
                task.cancel()
            await asyncio.gather(sending, answering, return_exceptions=True)

    async def _answer(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault
    ) -> None:
        if fault.lose_answer:
            head = await there.readuntil(b"\r\n\r\n")
            if head.startswith(b"HTTP/1.1 100 "):  # otherwise the client does not send its body
                writer.write(head)
            while await there.read(BLOCK_BYTES):
                pass
            return
        limit = fault.cut_answer if fault.stall_answer is None else fault.stall_answer
        if limit is not None:
            writer.write(await there.readuntil(b"\r\n\r\n"))
        await _pump(there, writer, limit)
        if fault.stall_answer is not None:
            await asyncio.Event().wait()
        writer.close()
        await writer.wait_closed()

    def _fault_for(self, kind: str) -> Fault | None:
        for fault in self.faults:
            if fault.kind == kind and fault.times > 0:
                fault.times -= 1
                return fault
        return None


async def _pump(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, limit: int | None
) -> None:
    left = limit if limit is not None else -1
    while left and (data := await source.read(BLOCK_BYTES if left < 0 else min(BLOCK_BYTES, left))):
        left -= len(data) if left > 0 else 0
        target.write(data)
        with contextlib.suppress(OSError):  # the response has the reason
            await target.drain()


def _parsed(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    parts = urlsplit(target)
    fields = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    return Request(method, parts.path, parse_qs(parts.query, keep_blank_values=True), headers)


def _refusal(status: int, code: str, *, head_only: bool) -> bytes:
    body = (
        f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>on purpose</Message>'
        "<RequestId>REQUEST4711</RequestId></Error>"
    ).encode()
    head = (
        f"HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nConnection: close\r\n"
        f"x-amz-request-id: REQUEST4711\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    return head if head_only else head + body
