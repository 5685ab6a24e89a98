"""The pipeline of the documentation: books in a bucket, reports in a folder.

The program uploads the texts of a folder to the bucket ``pydatatask-books``, and counts the lines,
words and characters of each. Set ``BUCKET_ENDPOINT``, ``BUCKET_USERNAME`` and ``BUCKET_PASSWORD``
to those of an S3 server.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

import pydatatask
from pydatatask_s3 import s3_client

session = pydatatask.Session()
bucket = session.resource(
    s3_client(
        os.getenv("BUCKET_ENDPOINT"),
        aws_access_key_id=os.getenv("BUCKET_USERNAME"),
        aws_secret_access_key=os.getenv("BUCKET_PASSWORD"),
    )
)

books_repo = pydatatask.S3BucketRepository(bucket, "pydatatask-books", "books/", ".txt")
done_repo = pydatatask.YamlMetadataFileRepository("./results/")
reports_repo = pydatatask.FileRepository("./reports", ".txt")


@pydatatask.InProcessSyncTask("summary", done_repo)
async def summary(
    job: str, books: pydatatask.S3BucketRepository, reports: pydatatask.FileRepository
) -> None:
    """Count the lines, words and characters of a book."""
    lines, words, chars = 0, 0, 0
    async with await books.open(job, "r") as book:
        async for line in book:
            lines += 1
            words += len(line.split())
            chars += len(line)
    async with await reports.open(job, "w") as report:
        await report.write(
            f'The book "{job}" has {lines} lines, {words} words, {chars} characters.\n'
        )


summary.link("books", books_repo, is_input=True)
summary.link("reports", reports_repo, is_output=True)

pipeline = pydatatask.Pipeline([summary], session)


async def run(texts: dict[str, str]) -> None:
    """Upload texts to the bucket, and run the pipeline to its end.

    :param texts: the texts by name.
    """
    async with session:
        await books_repo.validate()  # a pipeline creates only buckets that it writes to
        for name, text in texts.items():
            async with await books_repo.open(pydatatask.encode_job_id(name), "w") as book:
                await book.write(text)
    async with pipeline:
        print(await pipeline.run())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Count the words of texts in a bucket.")
    parser.add_argument("folder", type=Path, help="a folder with texts, NAME.txt")
    found = parser.parse_args().folder.glob("*.txt")
    asyncio.run(run({path.stem: path.read_text(encoding="utf-8") for path in found}))
