"""Count the words of texts, and report on those that could be counted."""

from typing import Any

import pydatatask_cli
import pydatatask_core

texts = pydatatask_core.FileRepository("data/texts", ".txt")
counts = pydatatask_core.YamlMetadataFileRepository("data/counts")
folders = pydatatask_core.DirectoryRepository("data/folders")
reports = pydatatask_core.FileRepository("data/reports", ".txt")


@pydatatask_core.InProcessSyncTask(
    "count", pydatatask_core.YamlMetadataFileRepository("data/count-done")
)
async def count(
    job: str, texts: pydatatask_core.FileRepository, counts: pydatatask_core.MetadataRepository
) -> None:
    async with await texts.open(job, "r") as text:
        words = (await text.read()).split()
    if not words:
        raise ValueError("there are no words in it")
    await counts.dump(job, {"words": len(words)})


count.link("texts", texts, is_input=True)
count.link("counts", counts, is_output=True)
count.link("folders", folders)


@pydatatask_core.InProcessSyncTask(
    "re-port", pydatatask_core.YamlMetadataFileRepository("data/report-done")
)
async def report(job: str, counts: pydatatask_core.MetadataRepository, **links: Any) -> None:
    async with await links["re-ports"].open(job, "w") as text:
        await text.write(f"{(await counts.info(job))['words']} words\n")


report.plug(count)
report.link("re-ports", reports, is_output=True)

pipeline = pydatatask_core.Pipeline([count, report])

if __name__ == "__main__":
    pydatatask_cli.main(pipeline)
