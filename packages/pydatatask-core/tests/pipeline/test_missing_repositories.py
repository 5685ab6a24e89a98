"""Creation of missing repositories when a pipeline opens."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydatatask_core import FileRepository, InProcessSyncTask, Pipeline, YamlMetadataFileRepository

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def make(folder: Path) -> Pipeline:
    async def body(job: str) -> None:
        """Do nothing."""

    task = InProcessSyncTask("t", YamlMetadataFileRepository(folder / "done"), func=body)
    task.link("texts", FileRepository(folder / "texts", ".txt"), is_input=True)
    return Pipeline([task])


async def test_written_repositories_are_created_and_missing_inputs_cause_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with make(tmp_path) as pipeline:
        assert (tmp_path / "done").is_dir()
        assert not (tmp_path / "texts").exists()
        (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert "texts" in warning
        assert "does not exist yet" in warning

        (tmp_path / "texts").mkdir()
        (tmp_path / "texts" / "a.txt").write_text("x")

        assert (await pipeline.run()).launched == {"t": 1}


async def test_inspection_creates_no_repository(tmp_path: Path) -> None:
    pipeline = make(tmp_path)

    await pipeline.open("inspect")
    ready = await pipeline.gather_ready_jobs(pipeline.tasks["t"])
    await pipeline.close()

    assert ready == set()
    assert not (tmp_path / "done").exists()
