"""The example of fan-out and fan-in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

MAIN = Path(__file__).parents[2] / "examples" / "fan" / "main.py"


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(MAIN), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
        check=False,
    )
    return done.stdout


def write(folder: Path, book: str, *chapters: str) -> None:
    (folder / "books").mkdir(exist_ok=True)
    (folder / "books" / f"{book}.txt").write_text("---\n".join(chapters))


def test_the_chapters_of_a_book_that_could_not_be_split_are_not_counted(tmp_path: Path) -> None:
    write(tmp_path, "good", "a\n", "b c\n")
    write(tmp_path, "bad", "a\n", "b\n")
    blocked = tmp_path / "out" / "chapters" / "bad001.txt"
    blocked.mkdir(parents=True)

    printed = run(tmp_path, "run")

    assert "failed: split 1: bad\n" in printed
    assert (tmp_path / "out" / "chapters" / "bad000.txt").exists()
    assert sorted(path.stem for path in (tmp_path / "out" / "counts").iterdir()) == [
        "good000",
        "good001",
    ]

    blocked.rmdir()
    run(tmp_path, "retry", "split", "--failed")
    run(tmp_path, "run")

    assert yaml.safe_load((tmp_path / "out" / "totals" / "bad.yaml").read_text()) == {
        "chapters": 2,
        "words": 2,
    }


def test_a_total_waits_for_all_chapters_and_a_comparison_for_two(tmp_path: Path) -> None:
    write(tmp_path, "book", "a\n", "b c\n", "d e f\n")
    run(tmp_path, "update")
    for number in (0, 2):
        run(tmp_path, "launch", "count", f"book{number:03}")

    assert "job book is ready for compare" in run(tmp_path, "explain", "compare", "book")
    assert "job book is not ready for total" in run(tmp_path, "explain", "total", "book")

    run(tmp_path, "launch", "count", "book001")

    assert "job book is ready for total" in run(tmp_path, "explain", "total", "book")
