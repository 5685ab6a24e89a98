"""Fan-out and fan-in: split books into chapters, count each chapter, and add up the counts.

Each chapter is a job of its own. ``RelatedItemRepository`` translates one job into another: a
chapter waits until its book is split completely (many to one), and the comparison of a book waits
for its first and last chapter (one to each of several). The custom repository ``Complete`` waits
for *all* chapters of a book.
"""

from collections.abc import AsyncGenerator
from typing import Any

import pydatatask
from pydatatask import (
    FileRepository,
    InProcessSyncTask,
    MetadataRepository,
    RelatedItemRepository,
    Repository,
    YamlMetadataFileRepository,
)

books = FileRepository("books", ".txt")
chapters = FileRepository("out/chapters", ".txt")
book_of = YamlMetadataFileRepository("out/book-of")  # chapter: its book
parts = YamlMetadataFileRepository("out/parts")  # book: its chapters
counts = YamlMetadataFileRepository("out/counts")
growth = YamlMetadataFileRepository("out/growth")
totals = YamlMetadataFileRepository("out/totals")


class Complete(Repository):
    """A view of the books whose chapters are all counted."""

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        made, counted = await parts.info_all(), await counts.keys()
        for book, names in made.items():
            if counted.issuperset(names):
                yield book

    async def info(self, job: str) -> Any:
        return await parts.info(job)

    async def delete(self, job: str) -> None:
        """Do nothing, because this is a view."""


@InProcessSyncTask("split", YamlMetadataFileRepository("out/split-done"))
async def split(job: str, books: FileRepository) -> None:
    """Create a job for each chapter; lines of three dashes separate chapters."""
    async with await books.open(job) as book:
        texts = (await book.read()).split("---\n")
    names = [f"{job}{number:03}" for number in range(len(texts))]
    for name, text in zip(names, texts, strict=True):
        await book_of.dump(name, job)
        async with await chapters.open(name, "w") as chapter:
            await chapter.write(text)
    await parts.dump(job, names)


split.link("books", books, is_input=True)
for name, repo in (("chapters", chapters), ("book_of", book_of), ("parts", parts)):
    split.link(name, repo, is_output=True)


@InProcessSyncTask("count", YamlMetadataFileRepository("out/count-done"))
async def count(job: str, chapters: FileRepository, counts: MetadataRepository) -> None:
    """Count the words of a chapter."""
    async with await chapters.open(job) as chapter:
        await counts.dump(job, len((await chapter.read()).split()))


# Fan-out: `split` ends for a book, `count` begins for its chapters.
count.plug(split, output_links=["done"], translator=book_of)
count.link("chapters", chapters, is_input=True)
count.link("counts", counts, is_output=True)


@InProcessSyncTask("compare", YamlMetadataFileRepository("out/compare-done"))
async def compare(
    job: str, first: MetadataRepository, last: MetadataRepository, growth: MetadataRepository
) -> None:
    """Store by how many words the last chapter is longer than the first."""
    await growth.dump(job, await last.info(job) - await first.info(job))


# Fan-in of a fixed number: a job of `compare` is a book, and waits for two chapters.
compare.link("first", RelatedItemRepository(counts, parts.map(lambda p: p[0])), is_input=True)
compare.link("last", RelatedItemRepository(counts, parts.map(lambda p: p[-1])), is_input=True)
compare.link("growth", growth, is_output=True)


@InProcessSyncTask("total", YamlMetadataFileRepository("out/total-done"))
async def total(job: str, complete: Complete, totals: MetadataRepository) -> None:
    """Add the words of all chapters."""
    found = await counts.info_many(await complete.info(job))
    await totals.dump(job, {"chapters": len(found), "words": sum(found.values())})


# Fan-in of all: a job of `total` is a book, and waits for all of its chapters.
total.link("complete", Complete(), is_input=True)
total.link("totals", totals, is_output=True)

pipeline = pydatatask.Pipeline([split, count, compare, total])

if __name__ == "__main__":
    pydatatask.main(pipeline)
