"""Write and read one large blob in S3.

Usage: s3_large.py MEBIBYTES ours|plain
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
import uuid

from s3_clients import client
from s3_ways import make_way


def peak() -> float:
    """Return the peak resident memory of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


async def main(mebibytes: int, name: str) -> None:
    """Create a bucket, measure in it, and print the figures."""
    bucket, size = f"bench-{uuid.uuid4().hex[:12]}", mebibytes << 20
    async with client() as made:
        await made.create_bucket(Bucket=bucket)
        way = make_way(name, made, bucket)
        before, began = peak(), time.perf_counter()
        await way.write_large("large", size)
        written, after_writing = time.perf_counter() - began, peak()
        began = time.perf_counter()
        assert await way.read_large("large") == size
        read = time.perf_counter() - began
        figures = {
            "total": written + read,
            "write": size / written,
            "read": size / read,
            "write_growth": after_writing - before,
            "read_growth": peak() - after_writing,
        }
    print(json.dumps(figures))


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
