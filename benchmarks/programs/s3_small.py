"""Write, list and read small blobs in S3.

Usage: s3_small.py ITEMS ours|plain|s3fs
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

from s3_clients import OPTIONS, Requests, client
from s3_ways import each, make_way

if TYPE_CHECKING:
    from s3_ways import Way

DATA = b"x" * 1024


async def measure(way: Way, requests: Requests, items: int) -> dict[str, float]:
    """Write, list and read all blobs, and return the figures."""
    names = [f"blob{i:06}" for i in range(items)]
    figures: dict[str, float] = {}

    async def timed(what: str, awaitable: Any) -> Any:
        requests.taken()
        began = time.perf_counter()
        answer = await awaitable
        figures[what] = time.perf_counter() - began
        figures[f"{what}_requests"] = requests.taken()
        return answer

    await timed("write", each(names, lambda name: way.write(name, DATA)))
    assert await timed("list", way.names()) == items
    await timed("read", each(names, way.read))
    assert await way.read(names[0]) == DATA
    figures["requests"] = sum(v for k, v in figures.items() if k.endswith("_requests"))
    figures["total"] = figures["write"] + figures["list"] + figures["read"]
    return figures


async def main(items: int, name: str) -> None:
    """Create a bucket, measure in it, and print the figures."""
    bucket = f"bench-{uuid.uuid4().hex[:12]}"
    async with client() as made:
        await made.create_bucket(Bucket=bucket)
        if name != "s3fs":
            figures = await measure(make_way(name, made, bucket), Requests(made), items)
        else:
            from s3fs import S3FileSystem

            system = S3FileSystem(
                key=OPTIONS["aws_access_key_id"],
                secret=OPTIONS["aws_secret_access_key"],
                endpoint_url=OPTIONS["endpoint_url"],
                asynchronous=True,
                skip_instance_cache=True,
            )
            await system.set_session()
            figures = await measure(make_way(name, system, bucket), Requests(system.s3), items)
            await system._s3creator.__aexit__(None, None, None)
    print(json.dumps(figures))


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
