"""Three back ends in one pipeline: texts in a folder, their blobs in S3, the results in MongoDB.

``pack`` compresses each text of the folder ``texts`` into a bucket. ``measure`` reads it from there
and stores its size and compression ratio as a document. ``report`` writes a file for each document
that matches a query. Set ``BUCKET_ENDPOINT``, ``BUCKET_USERNAME``, ``BUCKET_PASSWORD`` and
``MONGODB_URL``. ``EXAMPLE_NAME`` is the name of the bucket and of the database.
"""

import gzip
import os
from collections.abc import AsyncIterator
from typing import Any

import pymongo
from pymongo.asynchronous.collection import AsyncCollection

import pydatatask
from pydatatask import FileRepository, InProcessSyncTask, MetadataRepository
from pydatatask import MongoMetadataRepository as Documents
from pydatatask_s3 import s3_client

NAME = os.environ.get("EXAMPLE_NAME", "pydatatask-mixed")

session = pydatatask.Session()
bucket = session.resource(
    s3_client(
        os.environ.get("BUCKET_ENDPOINT"),
        aws_access_key_id=os.environ.get("BUCKET_USERNAME"),
        aws_secret_access_key=os.environ.get("BUCKET_PASSWORD"),
    )
)


@session.resource
async def collection() -> AsyncIterator[AsyncCollection[Any]]:
    """Connect to MongoDB while the pipeline is open."""
    async with pymongo.AsyncMongoClient[Any](os.environ["MONGODB_URL"]) as client:
        yield client[NAME]["texts"]


texts = FileRepository("texts", ".txt")
packed = pydatatask.S3BucketRepository(bucket, NAME, "packed/", ".gz")
measures = Documents(collection, "measures")
reports = FileRepository("reports", ".txt")


@InProcessSyncTask("pack", Documents(collection, "pack-done"))
async def pack(job: str, texts: FileRepository, packed: pydatatask.S3BucketRepository) -> None:
    """Compress a text into the bucket."""
    async with await texts.open(job, "rb") as source, await packed.open(job, "wb") as target:
        await target.write(gzip.compress(await source.read(), mtime=0))


pack.link("texts", texts, is_input=True)
pack.link("packed", packed, is_output=True)


@InProcessSyncTask("measure", Documents(collection, "measure-done"))
async def measure(
    job: str, packed: pydatatask.S3BucketRepository, measures: MetadataRepository
) -> None:
    """Store the size and the compression ratio of a text."""
    async with await packed.open(job, "rb") as stream:
        data = await stream.read()
    size = len(gzip.decompress(data))
    await measures.dump(job, {"size": size, "ratio": round(len(data) / size, 2)})


measure.plug(pack)
measure.link("measures", measures, is_output=True)


@InProcessSyncTask("report", Documents(collection, "report-done"))
async def report(job: str, dull: MetadataRepository, reports: FileRepository) -> None:
    """Write a line about a text that compresses well."""
    found = await dull.info(job)
    async with await reports.open(job, "w") as stream:
        await stream.write(f"{job}: {found['size']} bytes, packed to {found['ratio']:.0%}\n")


report.plug(measure, output_links=["done"])
report.link("dull", measures.query({"ratio": {"$lt": 0.5}}), is_input=True)
report.link("reports", reports, is_output=True)

pipeline = pydatatask.Pipeline([pack, measure, report], session)

if __name__ == "__main__":
    pydatatask.main(pipeline)
