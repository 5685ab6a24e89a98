"""Measure memory and throughput of a large object, beside plain aiobotocore doing the same.

Usage: s3_large_object.py ENDPOINT USER PASSWORD [GIBIBYTES]. Each measurement is a process of its
own, in turns, and shows by how much its peak of resident memory rose meanwhile.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from pydatatask_s3 import S3BucketRepository

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

PART = 8 << 20
PARALLEL = 3
BUCKET = "pydatatask-large-object"
TURNS = 3


async def plain_write(client: Any, size: int) -> None:
    """Upload parts, a few at once, each made anew."""
    where = {"Bucket": BUCKET, "Key": "plain"}
    upload = (await client.create_multipart_upload(**where))["UploadId"]
    room, tags = asyncio.Semaphore(PARALLEL), {}

    async def send(number: int, data: bytes) -> None:
        answer = await client.upload_part(**where, UploadId=upload, PartNumber=number, Body=data)
        tags[number] = answer["ETag"]
        room.release()

    async with asyncio.TaskGroup() as group:
        for number in range(1, size // PART + 1):
            data = bytes(PART)
            await room.acquire()
            group.create_task(send(number, data))
    parts = [{"PartNumber": number, "ETag": tags[number]} for number in sorted(tags)]
    await client.complete_multipart_upload(
        **where, UploadId=upload, MultipartUpload={"Parts": parts}
    )


async def plain_read(client: Any, size: int) -> None:
    """Read the body in pieces of the same size."""
    answer = await client.get_object(Bucket=BUCKET, Key="plain")
    found = 0
    async with answer["Body"] as body:
        while data := await body.read(PART):
            found += len(data)
    assert found == size


async def our_write(client: Any, size: int) -> None:
    """Write as a user does, in pieces of a mebibyte."""
    async with await S3BucketRepository(lambda: client, BUCKET).open("ours", "wb") as stream:
        for _ in range(size >> 20):
            await stream.write(bytes(1 << 20))


async def our_read(client: Any, size: int) -> None:
    """Read as a user does."""
    found = 0
    async with await S3BucketRepository(lambda: client, BUCKET).open("ours", "rb") as stream:
        while data := await stream.read(PART):
            found += len(data)
    assert found == size


WAYS: dict[str, Callable[[Any, int], Coroutine[Any, Any, None]]] = {
    "plain_write": plain_write,
    "our_write": our_write,
    "plain_read": plain_read,
    "our_read": our_read,
}


async def measure(way: str, endpoint: str, user: str, password: str, size: int) -> None:
    """Do it once, after a request that has everything loaded."""
    async with get_session().create_client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=user,
        aws_secret_access_key=password,
        region_name="us-east-1",
        config=AioConfig(
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
        ),
    ) as client:
        await client.list_objects_v2(Bucket=BUCKET, MaxKeys=1)
        before, began = peak(), time.perf_counter()
        await WAYS[way](client, size)
        seconds = time.perf_counter() - began
    print(f"{way:12} {size / seconds / 2**20:7.0f} MiB/s  peak +{peak() - before:4.0f} MiB")


def peak() -> float:
    """Give the most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def prepare(endpoint: str, user: str, password: str) -> None:
    """Make the bucket."""
    async with get_session().create_client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=user,
        aws_secret_access_key=password,
        region_name="us-east-1",
    ) as client:
        await S3BucketRepository(lambda: client, BUCKET).validate()


def main() -> None:
    """Run every way in turn, or the one that is asked for."""
    endpoint, user, password, *rest = sys.argv[1:]
    gibibytes, *way = rest or ["2"]
    size = int(float(gibibytes) * 2**30)
    if way:
        asyncio.run(measure(way[0], endpoint, user, password, size))
        return
    asyncio.run(prepare(endpoint, user, password))
    for _ in range(TURNS):
        for name in WAYS:
            command = [sys.executable, __file__, endpoint, user, password, gibibytes, name]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
