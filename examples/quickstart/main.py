"""The quickstart of pydatatask: count the words of every text in a folder, and rank the texts.

Two tasks use files only, no server. ``summary`` counts paragraphs, lines, words and characters of a
text and writes a report. ``rank`` is plugged into it and adds each report to an index. Interrupt
the program at any time and run it again: it continues where it stopped, because the files that it
has written are its only state.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

from texts import Reports, Results, TextTree

import pydatatask

PYTHON = Path(sysconfig.get_path("stdlib"))
NOT_TEXTS = frozenset({"__pycache__", "site-packages", "test", "tests", "data", "badsyntax"})


def make_pipeline(folder: Path, output: Path) -> pydatatask.Pipeline:
    """Create the pipeline; it does nothing until it is opened.

    :param folder: the folder of texts.
    :param output: the folder for all results.
    """
    texts = TextTree(folder, skip=NOT_TEXTS)
    reports = Reports(output / "reports", ".txt")
    counts = Results(output / "counts")
    places = Results(output / "index")

    @pydatatask.InProcessSyncTask("summary", Results(output / "summary-done"))
    async def summary(job: str, texts: TextTree, counts: Results, reports: Reports) -> None:
        paragraphs, lines, words, chars = 0, 0, 0, 0
        async with await texts.open(job, "r") as source:
            text = await source.read()
        in_paragraph = False
        for line in text.splitlines():
            paragraphs += bool(line.strip()) and not in_paragraph
            in_paragraph = bool(line.strip())
            lines += 1
            words += len(line.split())
            chars += len(line)
        name = pydatatask.decode_job_id(job)
        await counts.dump(
            job,
            {
                "name": name,
                "paragraphs": paragraphs,
                "lines": lines,
                "words": words,
                "characters": chars,
            },
        )
        async with await reports.open(job, "w") as report:
            await report.write(
                f'The text "{name}" has {paragraphs} paragraphs, {lines} lines, '
                f"{words} words, and {chars} characters.\n"
            )

    summary.link("texts", texts, is_input=True)
    summary.link("counts", counts, is_output=True)
    summary.link("reports", reports, is_output=True)

    @pydatatask.InProcessSyncTask("rank", Results(output / "rank-done"))
    async def rank(job: str, counts: Results, reports: Reports, places: Results) -> None:
        found = await counts.info(job)
        async with await reports.open(job, "r") as report:
            sentence = await report.read()
        density = found["characters"] / found["words"] if found["words"] else 0.0
        await places.dump(
            job,
            {
                "name": found["name"],
                "words": found["words"],
                "characters_per_word": round(density, 2),
                "report": sentence.strip(),
            },
        )

    rank.plug(summary)  # its outputs become inputs; texts that failed are left out
    rank.link("places", places, is_output=True)

    return pydatatask.Pipeline([summary, rank])


class ProgressLine:
    """The progress of a run: updated in place on a terminal, else one line every few seconds."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self._next = 0.0

    def __call__(self, progress: pydatatask.Progress) -> None:
        """Print the progress, unless the last update was printed a moment ago."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (0.1 if self.live else 2.0)
        parts = [
            f"{task} {progress.launched.get(task, 0)} done"
            f", {waiting + progress.running.get(task, 0)} to do"
            f", {progress.failed.get(task, 0)} failed"
            for task, waiting in progress.waiting.items()
        ]
        print(
            "\r\033[K" * self.live + "  |  ".join(parts), end="" if self.live else "\n", flush=True
        )

    def clear(self) -> None:
        """Remove the line from the terminal."""
        print("\r\033[K" * self.live, end="", flush=True)


async def run(folder: Path, output: Path) -> int:
    """Run the pipeline to its end and print its results.

    :param folder: the folder of texts.
    :param output: the folder for all results.
    """
    pipeline = make_pipeline(folder, output)
    line = ProgressLine()
    async with pipeline:
        try:
            summary = await pipeline.run(progress=line)
        finally:
            line.clear()
        index = await pipeline.tasks["rank"].links["places"].repo.info_all()
    write_index(output / "index.md", list(index.values()))
    done = ", ".join(f"{task} {count}" for task, count in summary.launched.items()) or "nothing new"
    print(f"ran in {summary.seconds:.1f} s: {done}")
    show(sorted(index.values(), key=lambda place: -place["words"])[:8])
    print(f"\n{len(index)} texts are in the index {output / 'index.md'}")
    print(f"reports  {output / 'reports'}\ncounts   {output / 'counts'}")
    for task, jobs in summary.failed.items():
        names = ", ".join(pydatatask.decode_job_id(job) for job in sorted(jobs)[:5])
        print(f"{len(jobs)} of {task} failed, see {output / f'{task}-done'}: {names}")
    return 1 if summary.failed else 0


def show(places: list[dict[str, Any]]) -> None:
    """Print the longest texts.

    :param places: their entries of the index, the longest first.
    """
    width = max((len(place["name"]) for place in places), default=0)
    print(f"\n{'the longest texts':{width}}  {'words':>8}  characters per word")
    for place in places:
        print(f"{place['name']:{width}}  {place['words']:8}  {place['characters_per_word']:19.2f}")


def write_index(path: Path, places: list[dict[str, Any]]) -> None:
    """Write all reports into one file, the longest text first.

    :param path: the file.
    :param places: the entries of the index.
    """
    places.sort(key=lambda place: (-place["words"], place["name"]))
    path.write_text("".join(f"1. {place['report']}\n" for place in places), encoding="utf-8")


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=PYTHON,
        help="the folder of texts (the library of this Python by default)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("quickstart-output"),
        help="the folder for results, one folder in it per folder of texts (%(default)s)",
    )
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if not folder.is_dir():
        parser.error(f"{folder} is not a folder")
    # Two folders may have the same name, and their results must not mix.
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:6]
    output = arguments.output.resolve() / f"{folder.name}-{digest}"
    print(f"texts    {folder}")
    try:
        return asyncio.run(run(folder, output))
    except KeyboardInterrupt:
        print("\ninterrupted; run the same command again to continue")
        return 130


if __name__ == "__main__":
    sys.exit(main())
