"""Linking repositories to tasks, and plugging one task into another."""

from __future__ import annotations

from typing import Any

import pytest

from pydatatask_core import (
    BlobRepository,
    FileRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Link,
    Pipeline,
    Repository,
    Session,
    SucceededRepository,
    Task,
)
from pydatatask_core.errors import PipelineConfigurationError, TaskConfigurationError


class Plain(Task):
    """A minimal task."""

    async def update(self) -> bool:
        return False

    async def launch(self, job: str) -> None:
        """Launch nothing."""


def repo() -> InProcessMetadataRepository:
    return InProcessMetadataRepository()


async def body(job: str) -> None:
    """Do nothing."""


def test_required_for_start_and_for_output_default_to_input_and_output() -> None:
    task = Plain("t")
    task.link("a", repo(), is_input=True)
    task.link("b", repo(), is_output=True)
    task.link("c", repo(), is_input=True, required_for_start=False)
    task.link("d", repo(), required_for_start=True)

    assert set(task.required_for_start) == {"a", "d"}
    assert set(task.required_for_output) == {"b"}
    assert set(task.input) == {"a", "c"}
    assert set(task.output) == {"b"}
    assert task.status == task.inhibits_start == task.inhibits_output == {}


def test_each_mapping_contains_the_repositories_by_link_name() -> None:
    task, status = Plain("t"), repo()
    task.link("s", status, is_status=True, inhibits_start=True, inhibits_output=True)

    assert task.status == task.inhibits_start == task.inhibits_output == {"s": status}
    assert isinstance(task.links["s"], Link)


@pytest.mark.parametrize("thing", [None, "folder", repo, 3])
def test_only_repositories_can_be_linked(thing: Any) -> None:
    with pytest.raises(TaskConfigurationError, match=r"t\.x: only a repository can be linked, not"):
        Plain("t").link("x", thing)


def test_a_link_whose_streams_are_copied_needs_a_blob_repository() -> None:
    with pytest.raises(TaskConfigurationError, match=r"t\.x: streams need a blob repo"):
        Plain("t").link_blobs("x", repo())


def test_a_task_cannot_be_plugged_into_itself() -> None:
    task = Plain("t")

    with pytest.raises(TaskConfigurationError, match="t is plugged into itself"):
        task.plug(task)
    assert task.links == {}


def test_a_link_name_can_be_used_only_once() -> None:
    task = Plain("t")
    task.link("x", repo())

    with pytest.raises(TaskConfigurationError, match=r"t has a link 'x' already"):
        task.link("x", repo())


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\0", "a\n", None, 3])
def test_a_task_name_must_be_a_valid_file_name(name: Any) -> None:
    with pytest.raises(TaskConfigurationError, match="name"):
        Plain(name)


async def test_a_task_without_a_required_link_never_has_ready_jobs() -> None:
    task = Plain("t")
    task.link("aside", InProcessMetadataRepository({"a": 1}))

    assert await task.ready.keys() == set()
    assert not await task.ready.contains("a")


async def test_a_job_is_ready_if_it_is_required_and_not_inhibited() -> None:
    task = Plain("t")
    task.link("x", InProcessMetadataRepository(dict.fromkeys("abcd")), is_input=True)
    task.link("y", InProcessMetadataRepository(dict.fromkeys("abc")), required_for_start=True)
    task.link("z", InProcessMetadataRepository(dict.fromkeys("b")), inhibits_start=True)

    assert await task.ready.keys() == {"a", "c"}
    task.link("w", InProcessMetadataRepository(dict.fromkeys("c")), inhibits_start=True)
    assert await task.ready.keys() == {"a"}


async def test_an_explicit_ready_repository_replaces_the_links() -> None:
    ready = InProcessMetadataRepository({"a": 1})
    task = Plain("t", ready)
    task.link("x", repo(), is_input=True)

    assert task.ready is ready
    with pytest.raises(TaskConfigurationError, match="ready has to be a repository"):
        Plain("t", "a")  # type: ignore[arg-type]


def first_task() -> InProcessSyncTask:
    task = InProcessSyncTask("first", repo(), func=body)
    task.link("out", repo(), is_output=True)
    task.link("extra", repo(), is_output=True, required_for_output=False)
    task.link("live", repo(), is_status=True, inhibits_start=True, inhibits_output=True)
    task.link("inp", repo(), is_input=True)
    return task


def test_plugging_names_output_links_after_the_outputs_and_gating_links_after_the_tasks() -> None:
    first, second = first_task(), Plain("second")
    second.plug(first)

    assert set(second.links) == {"out", "extra", "first_live", "first_done"}
    assert set(second.input) == {"out", "extra"}
    assert set(second.required_for_start) == {"out", "first_done"}
    assert set(second.inhibits_start) == {"first_live"}
    assert second.links["out"].repo is first.links["out"].repo
    assert isinstance(second.links["first_done"].repo, SucceededRepository)


def test_plugging_without_meta_links_only_outputs() -> None:
    second = Plain("second")
    second.plug(first_task(), meta=False)

    assert set(second.links) == {"out", "extra"}
    assert set(second.required_for_start) == {"out", "extra"}


def test_plugging_can_be_limited_to_named_links() -> None:
    second = Plain("second")
    second.plug(first_task(), output_links=["out"])
    assert set(second.links) == {"out"}

    with pytest.raises(TaskConfigurationError, match=r"first has no link 'nope' to plug; it has"):
        Plain("third").plug(first_task(), output_links=["nope"])


def test_failed_jobs_count_as_present_if_requested() -> None:
    first, second = first_task(), Plain("second")
    second.plug(first, failed_counts=True)

    assert second.links["first_done"].repo is first.links["done"].repo


def test_a_name_clash_is_rejected_and_the_error_names_both_links() -> None:
    second = Plain("second")
    taken = FileRepository("taken")
    second.link("out", taken)

    with pytest.raises(TaskConfigurationError, match=r"first\.out into second .* 'out'.*taken"):
        second.plug(first_task())


async def test_a_translator_looks_jobs_up_by_their_translated_names() -> None:
    first, second = first_task(), Plain("second")
    translator = InProcessMetadataRepository({"part1": "whole", "part2": "missing"})
    second.plug(first, translator=translator)
    await first.links["out"].repo.dump("whole", 42)  # type: ignore[attr-defined]
    await first.links["done"].repo.dump("whole", {"success": True})  # type: ignore[attr-defined]

    assert await second.ready.keys() == {"part1"}
    assert await second.links["out"].repo.info("part1") == 42

    await second.links["out"].repo.delete("part1")
    assert await first.links["out"].repo.contains("whole")


async def test_a_translator_may_allow_deletion() -> None:
    first, second = first_task(), Plain("second")
    second.plug(
        first,
        translator=InProcessMetadataRepository({"part": "whole"}),
        translate_allow_deletes=True,
    )
    await first.links["out"].repo.dump("whole", 42)  # type: ignore[attr-defined]

    await second.links["out"].repo.delete("part")

    assert not await first.links["out"].repo.contains("whole")


def test_only_tasks_can_be_plugged() -> None:
    with pytest.raises(TaskConfigurationError, match="only a task can be plugged"):
        Plain("second").plug(repo())  # type: ignore[arg-type]


def test_duplicate_task_names_and_objects_that_are_not_tasks_are_rejected() -> None:
    with pytest.raises(PipelineConfigurationError, match=r"2 tasks are named 'x'"):
        Pipeline([Plain("x"), Plain("x")])
    with pytest.raises(PipelineConfigurationError, match="is not a task"):
        Pipeline([Plain("x"), repo()])  # type: ignore[list-item]
    with pytest.raises(PipelineConfigurationError, match="iterable of tasks"):
        Pipeline(None)  # type: ignore[arg-type]
    with pytest.raises(PipelineConfigurationError, match="session has to be a Session"):
        Pipeline([], "session")  # type: ignore[arg-type]
    assert isinstance(Pipeline([Plain("x")]).session, Session)


@pytest.mark.parametrize(
    ("body_", "told"),
    [
        (lambda job: None, "has to be an `async def` function"),
        ("body", "has to be an `async def` function"),
    ],
)
def test_a_body_that_is_not_async_is_rejected(body_: Any, told: str) -> None:
    with pytest.raises(TaskConfigurationError, match=told):
        InProcessSyncTask("t", repo(), func=body_)


async def test_an_unknown_parameter_is_named_together_with_the_existing_links() -> None:
    @InProcessSyncTask("t", repo())
    async def task(job: str, books: Repository) -> None:
        """Never run."""

    task.link("book", repo(), is_input=True)

    with pytest.raises(
        TaskConfigurationError, match=r"parameter 'books', .*; its links are: book, done"
    ):
        await Pipeline([task]).open()


async def test_the_error_for_a_task_without_a_body_includes_the_remedy() -> None:
    with pytest.raises(TaskConfigurationError, match="has no body: use the task as a decorator"):
        await Pipeline([InProcessSyncTask("t", repo())]).open()


async def test_a_body_receives_exactly_the_links_named_by_its_parameters() -> None:
    got: dict[str, Any] = {}

    @InProcessSyncTask("t", repo())
    async def task(job: str, x: Repository, *, y: Repository, z: int = 3) -> None:
        got.update(job=job, x=x, y=y, z=z)

    x, y = repo(), repo()
    task.link("x", x)
    task.link("y", y)
    task.link("unused", repo())
    async with Pipeline([task]):
        await task.launch("j")

    assert got == {"job": "j", "x": x, "y": y, "z": 3}


def test_a_second_body_is_rejected() -> None:
    task = InProcessSyncTask("t", repo(), func=body)
    with pytest.raises(TaskConfigurationError, match="has a body already"):
        task(body)


async def test_a_view_through_a_translator_acts_as_its_base() -> None:
    class Marked(FileRepository):
        async def mark(self, job: str, with_: str) -> str:
            return f"{job}:{with_}"

    first, second = Plain("first"), Plain("second")
    first.link("out", Marked("folder"), is_output=True)
    second.plug(first, translator=InProcessMetadataRepository({"part": "whole"}))
    view: Any = second.links["out"].repo

    assert isinstance(view, Marked)
    assert isinstance(view, BlobRepository)
    assert await view.mark("part", with_="x") == "whole:x"


def test_a_name_clash_leaves_no_link_behind() -> None:
    before, after = InProcessSyncTask("before", repo()), InProcessSyncTask("after", repo())
    before.link("out", repo(), is_output=True)
    before.link("result", repo(), is_output=True)
    after.link("result", repo())

    with pytest.raises(TaskConfigurationError, match=r"plugging before\.result into after") as e:
        after.plug(before)

    assert after.links.keys() == {"done", "result"}
    assert "plug with output_links=['done'], and link" in str(e.value)
    with pytest.raises(TaskConfigurationError, match=r"output_links=\['out'\]"):
        after.plug(before, output_links=["result", "out"])
    after.plug(before, output_links=["done"])
    assert after.links.keys() == {"done", "result", "before_done"}


def test_two_links_that_would_get_the_same_name_clash() -> None:
    before, after = InProcessSyncTask("before", repo()), InProcessSyncTask("after", repo())
    before.link("before_done", repo(), is_output=True)

    with pytest.raises(TaskConfigurationError, match="needs the link name 'before_done'"):
        after.plug(before)
