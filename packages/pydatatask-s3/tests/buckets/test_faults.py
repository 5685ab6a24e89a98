"""Behaviour of repositories when the network or the server fails."""

from __future__ import annotations

import asyncio
import random
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import (
    StoreConnectionError,
    StoreError,
    StorePermissionError,
    StoreTimeoutError,
)
from pydatatask_s3 import S3BucketRepository

from .clients import connected, uploads_in
from .proxy import Fault, Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.s3 import S3Server

MEBIBYTE = 1 << 20
LARGE = random.Random(0).randbytes(20 * MEBIBYTE)
SMALL = b"a small value"


@pytest.fixture
async def proxy(server: S3Server) -> AsyncIterator[Proxy]:
    async with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
async def retrying(server: S3Server, proxy: Proxy, bucket: str) -> AsyncIterator[Any]:
    """Yield a repository behind the proxy whose client tries each request three times."""
    async with connected(server, proxy.endpoint, retries=3, read_timeout=2) as client:
        yield S3BucketRepository(lambda: client, bucket, "jobs/", ".bin")


@pytest.fixture
async def impatient(server: S3Server, proxy: Proxy, bucket: str) -> AsyncIterator[Any]:
    """Yield a repository behind the proxy whose client tries each request once."""
    async with connected(server, proxy.endpoint, read_timeout=2) as client:
        yield S3BucketRepository(lambda: client, bucket, "jobs/", ".bin")


@pytest.fixture
def direct(client: Any, bucket: str) -> S3BucketRepository:
    """Return the same repository without the proxy."""
    return S3BucketRepository(lambda: client, bucket, "jobs/", ".bin")


async def write(repo: Any, data: bytes) -> None:
    async with await repo.open("job", "wb") as stream:
        await stream.write(data)


async def read(repo: Any) -> str:
    """Return a digest of the value, because a diff of two large values takes minutes."""
    async with await repo.open("job", "rb") as stream:
        return digest(await stream.read())


def digest(data: bytes) -> str:
    return f"{len(data)} bytes, {sha256(data).hexdigest()}"


FAULTS = {
    "cut in the middle of a part": Fault("UploadPart", cut_request=3 * MEBIBYTE),
    "500 for a part": Fault("UploadPart", answer=(500, "InternalError")),
    "503 for a part": Fault("UploadPart", answer=(503, "SlowDown")),
    "lost response for a part": Fault("UploadPart", lose_answer=True),
    "503 for the completion": Fault("CompleteMultipartUpload", answer=(503, "SlowDown")),
    "500 for the creation": Fault("CreateMultipartUpload", answer=(500, "InternalError")),
}


def again(fault: Fault, times: int) -> Fault:
    return Fault(**{**vars(fault), "times": times})


@pytest.mark.parametrize("name", FAULTS)
async def test_a_large_write_that_fails_once_is_retried(
    retrying: Any, direct: Any, server: S3Server, proxy: Proxy, name: str
) -> None:
    if name == "lost response for a part" and not server.checks_credentials:
        pytest.skip("moto may lose a part that is sent again while it handles the first attempt")
    proxy.faults.append(again(FAULTS[name], 1))
    await write(retrying, LARGE)
    assert proxy.faults[0].times == 0
    assert await read(direct) == digest(LARGE)
    assert await uploads_in(direct.client, direct.bucket) == []


@pytest.mark.parametrize("name", FAULTS)
async def test_a_large_write_that_fails_permanently_leaves_the_old_value_and_no_upload(
    impatient: Any, direct: Any, proxy: Proxy, name: str
) -> None:
    await write(direct, SMALL)
    proxy.faults.append(again(FAULTS[name], 100))
    with pytest.raises(StoreError, match=f"'job'.*s3://{direct.bucket}/jobs/job.bin"):
        await write(impatient, LARGE)
    assert await read(direct) == digest(SMALL)
    assert await uploads_in(direct.client, direct.bucket) == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault("PutObject", 100, cut_request=5),
        Fault("PutObject", 100, answer=(503, "SlowDown")),
        Fault("PutObject", 100, answer=(500, "InternalError")),
    ],
    ids=["cut", "503", "500"],
)
async def test_a_small_write_that_fails_permanently_leaves_no_key(
    impatient: Any, direct: Any, proxy: Proxy, fault: Fault
) -> None:
    proxy.faults.append(again(fault, 100))
    with pytest.raises(StoreError):
        await write(impatient, SMALL)
    assert not await direct.contains("job")
    assert await direct.keys() == set()


async def test_a_writer_that_is_cancelled_while_parts_are_sent_leaves_no_upload(
    impatient: Any, direct: Any, proxy: Proxy
) -> None:
    sending = asyncio.Event()
    proxy.on_request = lambda request: sending.set() if request.kind == "UploadPart" else None

    async def work() -> None:
        async with await impatient.open("job", "wb") as stream:
            await stream.write(LARGE)
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await sending.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert "AbortMultipartUpload" in proxy.seen
    assert await uploads_in(direct.client, direct.bucket) == []
    assert await direct.keys() == set()


BROKEN_BODIES: dict[str, Any] = {
    "truncated": {"cut_answer": 3 * MEBIBYTE},
    "stalled": {"stall_answer": 3 * MEBIBYTE},
    "without a byte": {"cut_answer": 0},
}


@pytest.mark.parametrize("name", BROKEN_BODIES)
async def test_an_interrupted_body_is_resumed(
    impatient: Any, direct: Any, proxy: Proxy, name: str
) -> None:
    await write(direct, LARGE)
    proxy.faults.append(Fault("GetObject", 2, **BROKEN_BODIES[name]))
    assert await read(impatient) == digest(LARGE)
    assert proxy.seen.count("GetObject") == 3


async def test_a_body_that_never_arrives_raises_instead_of_ending_early(
    impatient: Any, direct: Any, proxy: Proxy
) -> None:
    await write(direct, LARGE)
    proxy.faults.append(Fault("GetObject", 100, cut_answer=0))
    async with await impatient.open("job", "rb") as stream:
        with pytest.raises(StoreConnectionError, match="'job'"):
            await stream.read()
        proxy.faults.clear()
        assert digest(await stream.read()) == digest(LARGE)


async def test_a_body_that_stalls_forever_raises_a_timeout(
    server: S3Server, direct: Any, proxy: Proxy, bucket: str
) -> None:
    await write(direct, LARGE)
    proxy.faults.append(Fault("GetObject", 100, stall_answer=0))
    async with connected(server, proxy.endpoint, read_timeout=0.3) as client:
        with pytest.raises(StoreTimeoutError, match="'job'"):
            await read(S3BucketRepository(lambda: client, bucket, "jobs/", ".bin"))


async def test_the_rest_of_a_replaced_object_is_not_read_from_the_new_one(
    impatient: Any, direct: Any, proxy: Proxy
) -> None:
    await write(direct, LARGE)
    proxy.faults.append(Fault("GetObject", cut_answer=3 * MEBIBYTE))
    async with await impatient.open("job", "rb") as stream:
        await write(direct, LARGE[::-1])
        with pytest.raises(StoreError, match="replaced"):
            await stream.read()


async def test_reading_an_object_that_was_deleted_meanwhile_raises(
    impatient: Any, direct: Any, proxy: Proxy
) -> None:
    await write(direct, LARGE)
    proxy.faults.append(Fault("GetObject", cut_answer=3 * MEBIBYTE))
    async with await impatient.open("job", "rb") as stream:
        await direct.delete("job")
        with pytest.raises(StoreError, match="deleted"):
            await stream.read()


REFUSALS = [
    (403, "AccessDenied", StorePermissionError),
    (500, "InternalError", StoreError),
    (503, "SlowDown", StoreError),
    (404, "NotThatKindOfNotFound", StoreError),
]


@pytest.mark.parametrize(("status", "code", "kind"), REFUSALS, ids=[row[1] for row in REFUSALS])
async def test_no_error_response_is_treated_as_absence(
    impatient: Any, direct: Any, proxy: Proxy, status: int, code: str, kind: type[Exception]
) -> None:
    await write(direct, SMALL)
    asked = {
        "ListObjectsV2": impatient.keys,
        "GetObject": lambda: impatient.open("job"),
        "DeleteObject": lambda: impatient.delete("job"),
    }
    if status != 404:  # a response to HEAD has no error code, so there 404 means absence
        asked["HeadObject"] = lambda: impatient.contains("job")
    for name, ask in asked.items():
        proxy.faults.append(Fault(name, answer=(status, code)))
        with pytest.raises(kind, match=f"s3://{direct.bucket}/jobs/") as caught:
            await ask()
        assert "REQUEST4711" in str(caught.value)
        assert vars(caught.value)["request_id"] == "REQUEST4711"


@pytest.mark.parametrize("kind", ["ListObjectsV2", "HeadObject", "GetObject"])
async def test_a_lost_connection_is_not_treated_as_absence(
    impatient: Any, direct: Any, proxy: Proxy, kind: str
) -> None:
    await write(direct, SMALL)
    proxy.faults.append(Fault(kind, 100, lose_answer=True))
    asked: Any = {
        "ListObjectsV2": impatient.keys,
        "HeadObject": lambda: impatient.contains("job"),
        "GetObject": lambda: impatient.open("job"),
    }
    with pytest.raises(StoreConnectionError):
        await asked[kind]()
