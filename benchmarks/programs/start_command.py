"""A small pipeline with its command line; for this version and the published 0.4.7.

Usage: start_command.py ARGUMENT...
"""

from __future__ import annotations

import pydatatask
from pydatatask.main import main

books = pydatatask.FileRepository("in", ".txt")
reports = pydatatask.FileRepository("out", ".txt")
done = pydatatask.YamlMetadataFileRepository("done")


@pydatatask.InProcessSyncTask("summary", done)
async def summary(
    job: str, books: pydatatask.FileRepository, reports: pydatatask.FileRepository
) -> None:
    """Copy a text."""
    async with await books.open(job, "r") as source, await reports.open(job, "w") as target:
        await target.write(await source.read())


summary.link("books", books, is_input=True)
summary.link("reports", reports, is_output=True)
pipeline = pydatatask.Pipeline([summary], pydatatask.Session(), [])

if __name__ == "__main__":
    main(pipeline)
