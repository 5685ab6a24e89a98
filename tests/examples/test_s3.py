"""The example with a bucket, and the code of the package's README, on a server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.s3 import S3Server

ROOT = Path(__file__).parents[2]
MAIN = ROOT / "examples" / "s3" / "main.py"
README = ROOT / "packages" / "pydatatask-s3" / "README.md"


def run(server: S3Server, folder: Path, *arguments: object) -> str:
    result = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={
            **os.environ,
            "BUCKET_ENDPOINT": server.endpoint,
            "BUCKET_USERNAME": server.user,
            "BUCKET_PASSWORD": server.password,
        },
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def books_in(folder: Path) -> Path:
    books = folder / "books"
    books.mkdir()
    for name, words in (("one", 1), ("two", 2)):
        (books / f"{name}.txt").write_text("word " * words)
    return books


def test_the_example_counts_the_words_of_the_books_in_a_bucket(
    s3_real: S3Server, tmp_path: Path
) -> None:
    books = books_in(tmp_path)
    assert "launched={'summary': 2}" in run(s3_real, tmp_path, MAIN, books)
    report = (tmp_path / "reports" / "two.txt").read_text()
    assert report == 'The book "two" has 1 lines, 2 words, 10 characters.\n'
    assert "launched={}" in run(s3_real, tmp_path, MAIN, books)


def test_the_quickstart_of_the_readme_needs_one_changed_line_for_a_bucket(
    s3_moto: S3Server, tmp_path: Path
) -> None:
    text = README.read_text(encoding="utf-8")
    sample = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    (old, new) = re.findall(r"```diff\n-(.*?)\n\+(.*?)\n```", text)[0]
    assert sample.count(old) == 1
    books_in(tmp_path)
    fill = f"""
import asyncio
{sample.partition("books = ")[0]}
{new}
async def fill():
    async with session:
        await books.validate()
        for job in ("one", "two", "three"):
            async with await books.open(job, "w") as book:
                await book.write("word " * len(job))
asyncio.run(fill())
"""
    run(s3_moto, tmp_path, "-c", fill)

    assert "launched={'count': 2}" in run(s3_moto, tmp_path, "-c", sample)
    assert "launched={'count': 1}" in run(s3_moto, tmp_path, "-c", sample.replace(old, new))
    assert (tmp_path / "counts" / "three.yaml").read_text() == "words: 5\n"
