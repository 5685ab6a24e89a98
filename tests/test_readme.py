"""The code of the README works as shown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def run_sample(folder: Path) -> str:
    (sample,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    command = [sys.executable, "-c", sample]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_the_pipeline_of_the_readme_runs_and_deleting_a_done_file_runs_its_job_again(
    tmp_path: Path,
) -> None:
    (tmp_path / "texts").mkdir()
    for name, words in (("one", 1), ("two", 2)):
        (tmp_path / "texts" / f"{name}.txt").write_text("word " * words)

    assert "launched={'count': 2}" in run_sample(tmp_path)
    assert "launched={}" in run_sample(tmp_path)
    assert (tmp_path / "counts" / "two.yaml").read_text() == "words: 2\n"

    (tmp_path / "done" / "two.yaml").unlink()

    assert "launched={'count': 1}" in run_sample(tmp_path)
