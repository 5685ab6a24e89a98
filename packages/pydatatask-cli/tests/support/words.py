"""Count the words of texts, and report on those that could be counted."""

from typing import Any

import pydatatask

texts = pydatatask.FileRepository("data/texts", ".txt")
counts = pydatatask.YamlMetadataFileRepository("data/counts")
folders = pydatatask.DirectoryRepository("data/folders")
reports = pydatatask.FileRepository("data/reports", ".txt")


@pydatatask.InProcessSyncTask("count", pydatatask.YamlMetadataFileRepository("data/count-done"))
async def count(
    job: str, texts: pydatatask.FileRepository, counts: pydatatask.MetadataRepository
) -> None:
    async with await texts.open(job, "r") as text:
        words = (await text.read()).split()
    if not words:
        raise ValueError("there are no words in it")
    await counts.dump(job, {"words": len(words)})


count.link("texts", texts, is_input=True)
count.link("counts", counts, is_output=True)
count.link("folders", folders)


@pydatatask.InProcessSyncTask("re-port", pydatatask.YamlMetadataFileRepository("data/report-done"))
async def report(job: str, counts: pydatatask.MetadataRepository, **links: Any) -> None:
    async with await links["re-ports"].open(job, "w") as text:
        await text.write(f"{(await counts.info(job))['words']} words\n")


report.plug(count)
report.link("re-ports", reports, is_output=True)

pipeline = pydatatask.Pipeline([count, report])

if __name__ == "__main__":
    pydatatask.main(pipeline)
