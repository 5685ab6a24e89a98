"""Metadata in MongoDB, blobs in files: count the words of texts, and sort those of the long ones.

Two tasks: ``count`` reads each text of a folder and stores its counts as a document; ``index``
writes a file for each text whose document matches a query. A second run processes only new texts,
and texts whose documents or files were deleted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymongo

import pydatatask
from pydatatask import FileRepository
from pydatatask_mongo import MongoMetadataRepository

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pymongo.asynchronous.collection import AsyncCollection


def make_pipeline(
    url: str, database: str, folder: Path, output: Path, long: int
) -> pydatatask.Pipeline:
    """Create the pipeline; it does nothing until it is opened.

    :param url: the URL of the MongoDB server.
    :param database: the name of the database.
    :param folder: the folder of texts, named ``NAME.txt``.
    :param output: the folder for the indexes.
    :param long: the minimum number of words of a long text.
    """
    session = pydatatask.Session()

    @session.resource
    async def collection() -> AsyncIterator[AsyncCollection[Any]]:
        async with pymongo.AsyncMongoClient[Any](url) as client:
            yield client[database]["texts"]

    texts = FileRepository(folder, ".txt")
    indexes = FileRepository(output, ".index")
    counts = MongoMetadataRepository(collection, "counts")
    long_ones = counts.query({"words": {"$gte": long}})

    @pydatatask.InProcessSyncTask("count", MongoMetadataRepository(collection, "counted"))
    async def count(job: str, texts: FileRepository, counts: MongoMetadataRepository) -> None:
        words = await words_of(texts, job)
        await counts.dump(job, {"words": len(words), "different": len(set(words))})

    count.link("texts", texts, is_input=True)
    count.link("counts", counts, is_output=True)

    @pydatatask.InProcessSyncTask("index", MongoMetadataRepository(collection, "indexed"))
    async def index(job: str, texts: FileRepository, indexes: FileRepository) -> None:
        times = Counter(await words_of(texts, job))
        async with await indexes.open(job, "w") as stream:
            for word in sorted(times):
                await stream.write(f"{word} {times[word]}\n")

    index.link("texts", texts, is_input=True)
    index.link("long_ones", long_ones, required_for_start=True)
    index.link("indexes", indexes, is_output=True)

    return pydatatask.Pipeline([count, index], session)


async def words_of(texts: FileRepository, job: str) -> list[str]:
    """Read the words of a text, in lower case.

    :param texts: the repository of the text.
    :param job: the name of the text.
    """
    async with await texts.open(job, "r") as stream:
        return re.findall(r"\w+", (await stream.read()).lower())


async def run(pipeline: pydatatask.Pipeline) -> int:
    """Run the pipeline to its end and print the contents of its repositories.

    :param pipeline: the pipeline.
    """
    async with pipeline:
        summary = await pipeline.run()
        counts = await pipeline.tasks["count"].links["counts"].repo.info_all()
        indexes = await pipeline.tasks["index"].links["indexes"].repo.info_all()
    done = ", ".join(f"{task} {number}" for task, number in summary.launched.items())
    print(f"ran: {done or 'nothing new'}")
    for name, found in sorted(counts.items()):
        made = f", indexed in {indexes[name]}" if name in indexes else ""
        print(f"{name}: {found['words']} words, {found['different']} different{made}")
    return 1 if summary.failed else 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path(__file__).parent / "texts",
        help="the folder of texts (%(default)s)",
    )
    parser.add_argument(
        "--mongodb",
        metavar="URL",
        default=os.environ.get("MONGODB_URL", "mongodb://127.0.0.1:27017"),
        help="the server (the variable MONGODB_URL, or one on this machine)",
    )
    parser.add_argument("--database", default="pydatatask_example", help="(%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("mongo-output"), help="(%(default)s)")
    parser.add_argument("--long", type=int, default=50, help="words of a long text (%(default)s)")
    arguments = parser.parse_args()
    pipeline = make_pipeline(
        arguments.mongodb, arguments.database, arguments.folder, arguments.output, arguments.long
    )
    try:
        return asyncio.run(run(pipeline))
    except pydatatask.PydatataskError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
