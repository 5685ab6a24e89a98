"""The quickstart, run as a user runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

MAIN = Path(__file__).parents[2] / "examples" / "quickstart" / "main.py"


def quickstart(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(MAIN), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "my texts"
    (folder / "sub.folder").mkdir(parents=True)
    for name in ("a.txt", "A.txt", "a b.txt", "a_b.txt", "aZub.txt", "sub.folder/ä-ö.md"):
        (folder / name).write_text(f"The text of {name}.\n\nIt has two paragraphs.\n")
    (folder / "picture.png").write_bytes(b"no text")
    return folder


def made(output: Path, what: str) -> list[Path]:
    return sorted(path for path in output.glob(f"*/{what}/*") if not path.name.startswith("."))


def test_texts_with_any_name_are_reported_and_ranked(texts: Path, tmp_path: Path) -> None:
    result = quickstart(texts, "--output", tmp_path / "out")

    assert result.returncode == 0, result.stdout + result.stderr
    assert "6 texts are in the index" in result.stdout
    reports = [path.read_text() for path in made(tmp_path / "out", "reports")]
    assert sorted(report.split('"')[1] for report in reports) == sorted(
        ["a.txt", "A.txt", "a b.txt", "a_b.txt", "aZub.txt", "sub.folder/ä-ö.md"]
    )
    assert all(" has 2 paragraphs, 3 lines, " in report for report in reports)


def test_a_second_run_computes_only_missing_results(texts: Path, tmp_path: Path) -> None:
    quickstart(texts, "--output", tmp_path / "out")
    (texts / "new.txt").write_text("One more.\n")

    result = quickstart(texts, "--output", tmp_path / "out")

    assert ": summary 1, rank 1\n" in result.stdout
    assert "7 texts are in the index" in result.stdout


def test_a_file_that_is_not_a_text_is_reported_by_name_and_starts_no_later_task(
    texts: Path, tmp_path: Path
) -> None:
    (texts / "broken.txt").write_bytes(b"\xff\xfe\xfa")

    result = quickstart(texts, "--output", tmp_path / "out")

    assert result.returncode == 1
    assert "1 of summary failed" in result.stdout
    assert "broken.txt" in result.stdout
    assert "6 texts are in the index" in result.stdout


def test_an_interrupted_run_says_so_and_the_next_one_continues(tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(400):
        (texts / f"t{number}.txt").write_text("word " * 50)
    command = [sys.executable, str(MAIN), str(texts), "--output", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while "summary" not in (line := process.stdout.readline()):
            assert line, "ended before it showed any progress"
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 130
    assert "interrupted" in rest

    result = quickstart(texts, "--output", tmp_path / "out")

    assert result.returncode == 0
    assert "400 texts are in the index" in result.stdout
    assert len(made(tmp_path / "out", "reports")) == 400


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    result = quickstart(tmp_path / "nowhere", cwd=tmp_path)

    assert result.returncode == 2
    assert f"{tmp_path / 'nowhere'} is not a folder" in result.stderr
    assert list(tmp_path.iterdir()) == []
