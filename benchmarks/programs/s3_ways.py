"""Writing, listing and reading in S3 with pydatatask, plain aiobotocore, and s3fs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["AT_ONCE", "Way", "each", "make_way"]

AT_ONCE = 16
PART = 8 << 20
PARTS_AT_ONCE = 3
PIECE = 1 << 20


class Way(Protocol):
    """The interface of a client of a bucket."""

    async def write(self, name: str, data: bytes) -> None:
        """Write a small blob."""

    async def names(self) -> int:
        """List all blobs, and return their number."""

    async def read(self, name: str) -> bytes:
        """Read a small blob."""

    async def write_large(self, name: str, size: int) -> None:
        """Write a large blob of zeros, without holding it in memory."""

    async def read_large(self, name: str) -> int:
        """Read a large blob without holding it in memory, and return its size."""


async def each(names: list[str], act: Callable[[str], Awaitable[Any]]) -> None:
    """Call a function with each name, :data:`AT_ONCE` at a time."""
    queue = iter(names)

    async def work() -> None:
        for name in queue:
            await act(name)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


class Ours:
    """A repository of pydatatask."""

    def __init__(self, client: Any, bucket: str) -> None:
        from pydatatask import S3BucketRepository

        self.repo = S3BucketRepository(lambda: client, bucket)

    async def write(self, name: str, data: bytes) -> None:
        async with await self.repo.open(name, "wb") as stream:
            await stream.write(data)

    async def names(self) -> int:
        return len(await self.repo.keys())

    async def read(self, name: str) -> bytes:
        async with await self.repo.open(name, "rb") as stream:
            return await stream.read()

    async def write_large(self, name: str, size: int) -> None:
        async with await self.repo.open(name, "wb") as stream:
            for _ in range(size // PIECE):
                await stream.write(bytes(PIECE))

    async def read_large(self, name: str) -> int:
        found = 0
        async with await self.repo.open(name, "rb") as stream:
            while data := await stream.read(PART):
                found += len(data)
        return found


class Plain:
    """The aiobotocore client alone, used as efficiently as possible."""

    def __init__(self, client: Any, bucket: str) -> None:
        self.client = client
        self.bucket = bucket

    async def write(self, name: str, data: bytes) -> None:
        await self.client.put_object(Bucket=self.bucket, Key=name, Body=data)

    async def names(self) -> int:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return len([entry["Key"] async for page in pages for entry in page.get("Contents", ())])

    async def read(self, name: str) -> bytes:
        answer = await self.client.get_object(Bucket=self.bucket, Key=name)
        async with answer["Body"] as body:
            data: bytes = await body.read()
            return data

    async def write_large(self, name: str, size: int) -> None:
        where = {"Bucket": self.bucket, "Key": name}
        upload = (await self.client.create_multipart_upload(**where))["UploadId"]
        room, tags = asyncio.Semaphore(PARTS_AT_ONCE), {}

        async def send(number: int, data: bytes) -> None:
            answer = await self.client.upload_part(
                **where, UploadId=upload, PartNumber=number, Body=data
            )
            tags[number] = answer["ETag"]
            room.release()

        async with asyncio.TaskGroup() as group:
            for number in range(1, size // PART + 1):
                await room.acquire()
                group.create_task(send(number, bytes(PART)))
        parts = [{"PartNumber": number, "ETag": tags[number]} for number in sorted(tags)]
        await self.client.complete_multipart_upload(
            **where, UploadId=upload, MultipartUpload={"Parts": parts}
        )

    async def read_large(self, name: str) -> int:
        answer = await self.client.get_object(Bucket=self.bucket, Key=name)
        found = 0
        async with answer["Body"] as body:
            while data := await body.read(PART):
                found += len(data)
        return found


class S3fs:
    """The file system s3fs, through its asynchronous methods."""

    def __init__(self, system: Any, bucket: str) -> None:
        self.system = system
        self.bucket = bucket

    async def write(self, name: str, data: bytes) -> None:
        await self.system._pipe_file(f"{self.bucket}/{name}", data)

    async def names(self) -> int:
        self.system.invalidate_cache()
        return len(await self.system._ls(self.bucket))

    async def read(self, name: str) -> bytes:
        data: bytes = await self.system._cat_file(f"{self.bucket}/{name}")
        return data

    async def write_large(self, name: str, size: int) -> None:
        stream = await self.system.open_async(f"{self.bucket}/{name}", "wb", block_size=PART)
        for _ in range(size // PIECE):
            await stream.write(bytes(PIECE))
        await stream.close()

    async def read_large(self, name: str) -> int:
        stream = await self.system.open_async(f"{self.bucket}/{name}", "rb")
        found = 0
        while data := await stream.read(PART):
            found += len(data)
        await stream.close()
        return found


def make_way(name: str, client: Any, bucket: str) -> Way:
    """Return a client of a bucket by its name.

    :param name: ``ours``, ``plain`` or ``s3fs``.
    :param client: the aiobotocore client; for s3fs the file system.
    :param bucket: the bucket.
    """
    ways: dict[str, Callable[[Any, str], Way]] = {"ours": Ours, "plain": Plain, "s3fs": S3fs}
    return ways[name](client, bucket)
