"""Links that write to one location cause an error or a warning when a pipeline opens."""

from __future__ import annotations

import os
import string
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import (
    DirectoryRepository,
    FileRepository,
    InProcessBlobRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
    RelatedItemRepository,
    Repository,
    Task,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import (
    PipelineConfigurationError,
    PydatataskError,
    TaskConfigurationError,
)
from pydatatask_core.pipeline.collisions import find_collisions
from pydatatask_core.repository.files.fs import folder_location as location

from .fakes import jobs, quiet

if TYPE_CHECKING:
    from pathlib import Path

DOTS = string.ascii_letters + string.digits + "."


class DottedFiles(FileRepository):
    CHARSET = DOTS


class DottedYaml(YamlMetadataFileRepository):
    CHARSET = DOTS


def make(name: str, done: Any = None, **outputs: Repository) -> InProcessSyncTask:
    """Return a task with one ready job that writes to the given repositories."""
    task = InProcessSyncTask(name, done or InProcessMetadataRepository(), func=quiet)
    task.link("source", jobs("a"), is_input=True)
    for link, repo in outputs.items():
        task.link(link, repo, is_output=True)
    return task


async def refusal(*tasks: Task) -> PydatataskError:
    """Return the error that opening a pipeline raises."""
    with pytest.raises(PydatataskError) as caught:
        await Pipeline(tasks, exclusive=False).open()
    return caught.value


async def warnings(caplog: pytest.LogCaptureFixture, *tasks: Task) -> str:
    """Return the warnings logged by opening a pipeline."""
    caplog.clear()
    async with Pipeline(tasks, exclusive=False):
        return caplog.text


async def test_two_outputs_of_one_task_in_one_folder_are_refused(tmp_path: Path) -> None:
    out = FileRepository(tmp_path / "out")
    error = await refusal(make("t", first=out, second=FileRepository(tmp_path / "out")))
    assert isinstance(error, TaskConfigurationError)
    assert "the links first and second lead to one location" in str(error)
    assert repr(out) in str(error)
    assert "give each its own location" in str(error)


async def test_a_refused_pipeline_validates_no_task(tmp_path: Path) -> None:
    """Validating a process task adopts the jobs in `pids`, and deletes them from there."""
    validated: list[str] = []

    class Noting(InProcessSyncTask):
        async def validate(self) -> None:
            validated.append(self.name)

    done = YamlMetadataFileRepository(tmp_path)
    task = Noting("t", done, func=quiet)
    task.link("out", YamlMetadataFileRepository(tmp_path), is_output=True)
    await refusal(task)
    assert validated == []


async def test_each_collision_is_reported(tmp_path: Path) -> None:
    yaml, text = YamlMetadataFileRepository(tmp_path), FileRepository(tmp_path, ".txt")
    error = await refusal(make("one", yaml, out=yaml), make("two", first=text, second=text))
    assert isinstance(error, PipelineConfigurationError)
    assert "one: the links done and out" in str(error)
    assert "two: the links first and second" in str(error)


async def test_a_pipeline_with_collisions_can_be_inspected(tmp_path: Path) -> None:
    out = FileRepository(tmp_path / "out")
    pipeline = Pipeline([make("t", first=out, second=out)])
    await pipeline.open("inspect")
    try:
        assert ["first and second" in str(problem) for problem in pipeline.problems] == [True]
        assert not (tmp_path / "out").exists()
    finally:
        await pipeline.close()


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize(
    "spelling",
    [
        "work/out",
        "link/out",
        "{}/work/out/",
        "work/x/../out",
        "./work//out",
        "absolute/../work/out",
    ],
)
def test_a_folder_is_identified_under_any_spelling(
    spelling: str, exists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work" / "x").mkdir(parents=True)
    (tmp_path / "link").symlink_to("work")
    if exists:
        (tmp_path / "work" / "out").mkdir()
    task = make("t", one=FileRepository("work/out"), two=FileRepository(spelling.format(tmp_path)))
    assert len(find_collisions([task])) == 1


def test_a_link_to_a_folder_that_does_not_exist_is_that_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("missing")
    one, two = FileRepository(tmp_path / "link" / "a"), FileRepository(tmp_path / "missing/a")
    assert len(find_collisions([make("t", one=one, two=two)])) == 1


def test_folders_of_the_same_name_in_different_missing_folders_are_distinct(tmp_path: Path) -> None:
    one, two = FileRepository(tmp_path / "a" / "out"), FileRepository(tmp_path / "b" / "out")
    assert find_collisions([make("t", one=one, two=two)]) == []


def test_spellings_are_equal_if_the_file_system_ignores_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = FileRepository(tmp_path / "Out", ".TXT"), FileRepository(tmp_path / "out", ".txt")
    task = make("t", one=pair[0], two=pair[1])
    assert find_collisions([task]) == []
    monkeypatch.setattr(location, "_file_system_ignores_case", lambda _: True)
    assert len(find_collisions([task])) == 1


def test_a_case_sensitive_file_system_is_detected(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    assert not location._file_system_ignores_case(str(tmp_path / "letters"))
    os.symlink("letters", tmp_path / "LETTERS")  # simulates a file system that ignores case
    assert location._file_system_ignores_case(str(tmp_path / "letters"))


def test_a_repository_that_ignores_case_shares_extensions_that_differ_in_case(
    tmp_path: Path,
) -> None:
    one = FileRepository(tmp_path, ".TXT", case_insensitive=True)
    assert len(find_collisions([make("t", one=one, two=FileRepository(tmp_path, ".txt"))])) == 1


def test_directories_and_files_of_one_name_are_one_location(tmp_path: Path) -> None:
    one, two = DirectoryRepository(tmp_path / "out"), FileRepository(tmp_path / "out")
    assert len(find_collisions([make("t", one=one, two=two)])) == 1


def test_repositories_in_memory_are_identified_by_object_or_dict() -> None:
    data: dict[str, Any] = {}
    one = InProcessMetadataRepository(data)
    assert len(find_collisions([make("t", one, out=one)])) == 1
    assert len(find_collisions([make("t", one, out=InProcessBlobRepository(data))])) == 1
    assert find_collisions([make("t", one, out=InProcessMetadataRepository())]) == []


@pytest.mark.parametrize(
    "view",
    [
        lambda repo, other: repo.map(len),
        lambda repo, other: repo & other,
        lambda repo, other: other | repo,
        lambda repo, other: repo - other,
        RelatedItemRepository,
        lambda repo, other: RelatedItemRepository(repo - other, other).map(len),
    ],
)
def test_a_view_has_the_location_to_which_it_writes(view: Any, tmp_path: Path) -> None:
    out = FileRepository(tmp_path / "out")
    shown = view(FileRepository(tmp_path / "out"), InProcessMetadataRepository())
    assert len(find_collisions([make("t", one=out, two=shown)])) == 1


@pytest.mark.parametrize("view", [lambda r, o: o - r, lambda r, o: RelatedItemRepository(o, r)])
def test_a_view_does_not_have_the_location_from_which_it_only_reads(
    view: Any, tmp_path: Path
) -> None:
    out = FileRepository(tmp_path / "out")
    other = FileRepository(tmp_path / "other")
    assert find_collisions([make("t", one=out, two=view(out, other))]) == []


def test_a_task_may_change_a_value_in_place(tmp_path: Path) -> None:
    task = InProcessSyncTask("t", InProcessMetadataRepository(), func=quiet)
    task.link("before", FileRepository(tmp_path), is_input=True)
    task.link("after", FileRepository(tmp_path), is_output=True)
    assert find_collisions([task]) == []


def test_an_input_that_is_also_the_state_of_the_task_is_refused() -> None:
    state = InProcessMetadataRepository()
    task = InProcessSyncTask("t", state, func=quiet)
    task.link("source", state, is_input=True)
    (error,) = find_collisions([task])
    assert "the links done and source lead to one location" in str(error)


def test_a_task_may_read_its_own_records() -> None:
    task = make("t")
    task.link("history", task.links["done"].repo, is_input=True, required_for_start=False)
    assert find_collisions([task]) == []


async def test_a_status_link_of_two_tasks_is_refused(tmp_path: Path) -> None:
    one, two = (
        make(name, YamlMetadataFileRepository(tmp_path / "done")) for name in ("one", "two")
    )
    error = await refusal(one, two)
    assert isinstance(error, PipelineConfigurationError)
    assert "one.done and two.done lead to one location" in str(error)
    assert "are status links" in str(error)


async def test_a_status_link_that_another_task_writes_to_is_refused() -> None:
    done = InProcessMetadataRepository()
    error = await refusal(make("one", done), make("two", out=done))
    assert "one.done and two.out lead to one location" in str(error)
    assert "one.done is a status link" in str(error)


async def test_a_disabled_task_does_not_collide() -> None:
    done = InProcessMetadataRepository()
    old = InProcessSyncTask("old", done, func=quiet, disabled=True)
    old.link("source", jobs("a"), is_input=True)
    async with Pipeline([old, make("new", done)]):
        pass


async def test_a_plugged_task_may_read_the_outputs_of_the_other_task(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    first, second = make("first", out=FileRepository(tmp_path)), make("second")
    second.plug(first)
    assert "one" not in await warnings(caplog, first, second)


async def test_outputs_of_two_tasks_in_one_location_cause_a_warning_unless_both_are_shared(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    one, two = make("one"), make("two")
    one.link("out", FileRepository(tmp_path), is_output=True, shared=True)
    two.link("result", FileRepository(tmp_path), is_output=True)
    told = await warnings(caplog, one, two)
    assert "one.out and two.result write to one repository" in told
    assert "shared=True" in told
    two.links["result"].shared = True
    assert "write to one repository" not in await warnings(caplog, one, two)


async def test_two_extensions_in_one_folder_are_two_locations(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    repos = [
        FileRepository(tmp_path),
        FileRepository(tmp_path, ".txt"),
        YamlMetadataFileRepository(tmp_path),
        DottedFiles(tmp_path, ".R1.fastq.gz"),
        DottedFiles(tmp_path, ".R2.fastq.gz"),
    ]
    task = make("t", **{f"out{number}": repo for number, repo in enumerate(repos)})
    assert "location" not in await warnings(caplog, task)


async def test_entries_that_are_jobs_of_two_repositories_cause_a_warning(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    task = make("t", DottedYaml(tmp_path), out=DottedFiles(tmp_path))
    told = await warnings(caplog, task)
    assert told.count("share entries:") == 1
    assert "job 'a' of DottedYaml" in told
    assert "job 'a.yaml' of DottedFiles" in told


async def test_a_folder_of_values_that_is_listed_as_a_job_causes_a_warning(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    inside = YamlMetadataFileRepository(tmp_path / "out" / "state")
    told = await warnings(caplog, make("t", inside, out=DirectoryRepository(tmp_path / "out")))
    assert "is listed as job 'state' of t.out" in told
    hidden = YamlMetadataFileRepository(tmp_path / "out" / ".state")
    task = make("t", hidden, out=DirectoryRepository(tmp_path / "out"))
    assert "is listed as job" not in await warnings(caplog, task)
