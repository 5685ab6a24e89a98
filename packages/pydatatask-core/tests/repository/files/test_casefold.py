"""``case_insensitive``: names match ignoring case, and the stored spelling is the job id."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from pydatatask_core.errors import AmbiguousJobError, JobNotFoundError
from pydatatask_core.repository import (
    DirectoryRepository,
    FileRepository,
    YamlMetadataFileRepository,
)
from pydatatask_core.repository.files.fs import casefold as folding

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> FileRepository:
    (tmp_path / "Report.TXT").write_text("found")
    return FileRepository(tmp_path, ".txt", case_insensitive=True)


async def read(repo: FileRepository, job: str) -> str:
    async with await repo.open(job) as stream:
        return await stream.read()


async def test_the_stored_spelling_is_the_job_id(repo: FileRepository) -> None:
    assert await repo.keys() == {"Report"}
    assert [job async for job in repo] == ["Report"]
    assert await repo.info_all() == {"Report": str(repo.basedir / "Report.TXT")}


@pytest.mark.parametrize("job", ["Report", "report", "REPORT", "rEPORT"])
async def test_any_spelling_reaches_the_stored_file(repo: FileRepository, job: str) -> None:
    assert await repo.contains(job)
    assert await repo.info(job) == str(repo.basedir / "Report.TXT")
    assert await asyncio.to_thread(repo.fullpath, job) == repo.basedir / "Report.TXT"
    assert await read(repo, job) == "found"
    async with await repo.open(job, "w") as stream:
        await stream.write("new")
    assert os.listdir(repo.basedir) == ["Report.TXT"]
    assert await read(repo, "Report") == "new"
    await repo.delete(job)
    assert os.listdir(repo.basedir) == []
    assert not await repo.contains(job)
    await repo.delete(job)


async def test_an_absent_job_gets_the_requested_spelling(repo: FileRepository) -> None:
    assert not await repo.contains("Other")
    with pytest.raises(JobNotFoundError):
        await repo.open("Other")
    async with await repo.open("Other", "w") as stream:
        await stream.write("new")
    assert await repo.keys() == {"Report", "Other"}


async def test_validate_refuses_two_names_that_differ_only_in_case(
    repo: FileRepository,
) -> None:
    await repo.validate()
    (repo.basedir / "report.txt").write_text("twin")
    with pytest.raises(
        AmbiguousJobError, match=r"'Report\.TXT' and 'report\.txt' differ only in case"
    ):
        await repo.validate()


async def test_invalid_names_may_differ_only_in_case(tmp_path: Path) -> None:
    (tmp_path / "no-job.txt").write_text("")
    (tmp_path / "No-Job.txt").write_text("")
    (tmp_path / "job.txt").mkdir()
    (tmp_path / "Job.txt").write_text("")
    await FileRepository(tmp_path, ".txt", case_insensitive=True).validate()


async def test_an_exact_spelling_takes_precedence(repo: FileRepository) -> None:
    (repo.basedir / "report.txt").write_text("twin")
    assert await read(repo, "report") == "twin"
    with pytest.raises(AmbiguousJobError, match="use one of these"):
        await repo.open("REPORT")
    with pytest.raises(AmbiguousJobError, match="use one of these"):
        await repo.delete("REPORT")
    assert await repo.contains("REPORT")
    assert len(os.listdir(repo.basedir)) == 2


async def test_changes_by_other_processes_are_noticed(repo: FileRepository) -> None:
    assert await repo.contains("report")
    (repo.basedir / "Report.TXT").rename(repo.basedir / "REPORT.txt")
    assert await repo.info("report") == str(repo.basedir / "REPORT.txt")
    (repo.basedir / "REPORT.txt").unlink()
    assert not await repo.contains("report")
    (repo.basedir / "repORT.txt").write_text("again")
    assert await read(repo, "report") == "again"


async def test_a_known_spelling_costs_no_listing(
    repo: FileRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    await repo.keys()
    monkeypatch.delattr(folding, "list_folder")
    assert await repo.contains("Report")
    assert await read(repo, "rePORT") == "found"


async def test_concurrent_writers_of_two_spellings_create_one_job(tmp_path: Path) -> None:
    repo = FileRepository(tmp_path, case_insensitive=True)

    async def write(job: str) -> None:
        async with await repo.open(job, "w") as stream:
            await stream.write(job)

    for turn in range(20):
        jobs = [f"job{turn}", f"Job{turn}", f"JOB{turn}"]
        await asyncio.gather(*(write(job) for job in jobs))
        assert len({name for name in os.listdir(tmp_path) if name.lower() == jobs[0]}) == 1
    await repo.validate()


async def test_directories_and_metadata_match_in_the_same_way(tmp_path: Path) -> None:
    folders = DirectoryRepository(tmp_path, ".d", case_insensitive=True, discard_empty=True)
    (tmp_path / "Job.D").mkdir()
    await folders.mkdir("job")
    assert await folders.keys() == set()
    async with folders.build("JOB") as path:
        (path / "file").write_text("")
    assert await folders.keys() == {"Job"}
    assert os.listdir(tmp_path) == ["Job.D"]

    records = YamlMetadataFileRepository(tmp_path, case_insensitive=True)
    (tmp_path / "Job.YAML").write_text("a: 1")
    assert await records.info("jOB") == {"a": 1}
    await records.dump("jOB", {"a": 2})
    assert await records.info_all() == {"Job": {"a": 2}}
    assert await records.info_many(["JOB", "none"]) == {"JOB": {"a": 2}, "none": {}}
