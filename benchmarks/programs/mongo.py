"""List and read a whole collection: with pydatatask, or with the driver's cursor alone.

Usage: mongo.py DOCUMENTS motor|pymongo ours|bare|fill. ``fill`` only creates the documents, if they
do not exist.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DATABASE = "bench"
BATCH = 5_000
START = datetime(2026, 1, 1, tzinfo=UTC)


def connect(driver: str) -> Any:
    """Return a client of a driver."""
    url = os.environ["BENCH_MONGODB"]
    if driver == "motor":
        from motor.motor_asyncio import AsyncIOMotorClient

        return AsyncIOMotorClient(url)
    from pymongo import AsyncMongoClient

    return AsyncMongoClient(url)


def record(number: int) -> dict[str, Any]:
    """Return a document like those of ``done``."""
    start = START + timedelta(seconds=number)
    return {
        "success": True,
        "start_time": start,
        "end_time": start + timedelta(seconds=1),
        "attempt": 1,
        "host": "localhost",
        "handle": f"run-{number}",
    }


async def fill(collection: Any, documents: int) -> None:
    """Create the documents, if they do not exist."""
    if await collection.count_documents({}) == documents:
        return
    await collection.drop()
    for first in range(0, documents, BATCH):
        numbers = range(first, min(first + BATCH, documents))
        await collection.insert_many([{"_id": f"job{n:07}"} | record(n) for n in numbers])


async def bare_keys(collection: Any) -> int:
    """List all keys with the driver alone, and return their number."""
    return len({document["_id"] async for document in collection.find({}, {"_id": 1})})


async def bare_info_all(collection: Any) -> int:
    """Read all documents with the driver alone, and return their number."""
    return len({document.pop("_id"): document async for document in collection.find({})})


async def measure(collection: Any, way: str) -> dict[str, float]:
    """List all keys, read all documents, and return the figures."""
    figures: dict[str, float] = {}
    acts: dict[str, Callable[[], Awaitable[Any]]]
    if way == "bare":
        acts = {"keys": lambda: bare_keys(collection), "all": lambda: bare_info_all(collection)}
    else:
        from pydatatask import MongoMetadataRepository

        repo = MongoMetadataRepository(lambda: collection)
        acts = {"keys": repo.keys, "all": repo.info_all}
    await collection.find_one({})
    for name, act in acts.items():
        began, used = time.perf_counter(), time.process_time()
        found = await act()
        figures[name] = time.perf_counter() - began
        figures[f"{name}_processor"] = time.process_time() - used
        figures["found"] = found if isinstance(found, int) else len(found)
    return figures


async def main(documents: int, driver: str, way: str) -> None:
    """Create the documents, or print the figures."""
    client = connect(driver)
    collection = client[DATABASE]["records"]
    if way == "fill":
        await fill(collection, documents)
    else:
        figures = await measure(collection, way)
        assert figures["found"] == documents
        print(json.dumps(figures))
    client.close() if driver == "motor" else await client.close()


asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
