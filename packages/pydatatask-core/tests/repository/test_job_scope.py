"""Publications and calls that the scope of a job records."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import (
    DirectoryRepository,
    FileRepository,
    InProcessBlobRepository,
    InProcessMetadataRepository,
    JsonMetadataFileRepository,
    MetadataRepository,
    RelatedItemRepository,
    Repository,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import NotAwaitedError
from pydatatask_core.repository.job_scope import JobScope, current_scope
from pydatatask_core.utils.call_log import MAX_RECORDED_CALLS, is_coroutine_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.asyncio


@contextmanager
def body(**options: Any) -> Iterator[JobScope]:
    scope = JobScope("task", "a", **options)
    token = scope.enter()
    try:
        yield scope
    finally:
        scope.leave(token)


async def write(repo: Any, job: str) -> None:
    if isinstance(repo, MetadataRepository):
        await repo.dump(job, {"n": 1})
    elif isinstance(repo, DirectoryRepository):
        async with repo.build(job):
            pass
    else:
        async with await repo.open(job, "wb") as stream:
            await stream.write(b"x")


KINDS: dict[str, Callable[[Any], Any]] = {
    "memory": lambda path: InProcessMetadataRepository(),
    "memory blobs": lambda path: InProcessBlobRepository(),
    "files": FileRepository,
    "directories": DirectoryRepository,
    "YAML": YamlMetadataFileRepository,
    "JSON": JsonMetadataFileRepository,
}


@pytest.fixture(params=KINDS.values(), ids=list(KINDS))
def repo(request: Any, tmp_path: Any) -> Any:
    return request.param(tmp_path / "data")


async def test_without_a_job_no_scope_is_active(repo: Any) -> None:
    assert current_scope() is None
    await write(repo, "a")
    assert await repo.contains("a")


async def test_a_scope_records_which_repositories_were_written(repo: Any) -> None:
    other = type(repo)() if "InProcess" in type(repo).__name__ else type(repo)("elsewhere")
    with body() as scope:
        assert current_scope() is scope
        assert not scope.wrote_to(repo)
        await write(repo, "a1")
        assert scope.wrote_to(repo)
        assert not scope.wrote_to(other)


async def test_reads_and_aborted_writes_are_not_publications(tmp_path: Any) -> None:
    for blobs in (InProcessBlobRepository(), FileRepository(tmp_path)):
        await write(blobs, "old")
        with body() as scope:
            async with await blobs.open("old", "r") as reader:
                await reader.read()
            stream = await blobs.open("a", "w")
            await stream.write("half")
            await stream.abort()
            assert not scope.wrote_to(blobs)


async def test_creating_an_empty_directory_counts_as_a_write(tmp_path: Any) -> None:
    repo = DirectoryRepository(tmp_path)
    with body() as scope:
        await repo.mkdir("a")
        assert scope.wrote_to(repo)


async def test_another_instance_for_the_same_data_counts(tmp_path: Any) -> None:
    with body() as scope:
        await write(FileRepository(tmp_path), "a")
        assert scope.wrote_to(FileRepository(tmp_path))
        assert not scope.wrote_to(FileRepository(tmp_path, ".txt"))


async def test_a_view_is_written_through_its_base_alone() -> None:
    base, names = InProcessBlobRepository(), InProcessMetadataRepository({"a": "b"})
    view: Any = RelatedItemRepository(base, names)
    with body() as scope:
        await names.dump("c", "d")
        assert not scope.wrote_to(view)
        async with await view.open("a", "w") as stream:
            await stream.write("x")
        assert scope.wrote_to(view)
        assert scope.wrote_to(base)
    assert await base.contains("b")


async def test_a_stream_reports_to_the_scope_in_which_it_was_opened() -> None:
    repo = InProcessBlobRepository()
    with body() as scope:
        stream = await repo.open("a", "w")
    outer = JobScope("task", "b")
    token = outer.enter()
    with pytest.raises(NotAwaitedError, match="job 'a' of task has ended"):
        await stream.close()
    outer.leave(token)
    assert not await repo.contains("a")
    assert not scope.wrote_to(repo)
    assert not outer.wrote_to(repo)


async def test_a_task_that_outlives_the_body_publishes_nothing(repo: Any) -> None:
    ended = asyncio.Event()

    async def late() -> None:
        await ended.wait()
        await write(repo, "late")

    with body():
        task = asyncio.create_task(late())
        await asyncio.sleep(0)
    ended.set()
    with pytest.raises(NotAwaitedError, match="await every asyncio task"):
        await task
    assert not await repo.contains("late")


async def test_a_hook_is_called_before_each_key_appears_and_may_refuse(repo: Any) -> None:
    seen = []

    def hook(repository: Repository, job: str) -> None:
        seen.append((repository, job))
        if job == "refused":
            raise PermissionError(job)

    with body(before_publish=hook) as scope:
        await write(repo, "allowed")
        assert set(seen) == {(repo, "allowed")}
        with pytest.raises(PermissionError):
            await write(repo, "refused")
        assert scope.wrote_to(repo)
    assert await repo.keys() == {"allowed"}


async def test_writes_of_another_process_are_matched_by_identity(tmp_path: Any) -> None:
    with body() as there:
        await write(FileRepository(tmp_path), "a")
    here = JobScope("task", "a")
    here.add_published(there.published_identities())
    assert here.wrote_to(FileRepository(tmp_path))
    assert not here.wrote_to(InProcessBlobRepository())


async def test_coroutine_methods_stay_coroutine_functions(repo: Any) -> None:
    methods = ["contains", "keys", "info", "info_all", "info_many", "delete", "validate"]
    methods += ["dump"] if isinstance(repo, MetadataRepository) else []
    methods += ["open"] if hasattr(repo, "open") else []
    for name in methods:
        assert is_coroutine_function(getattr(repo, name)), name
        assert is_coroutine_function(getattr(type(repo), name)), name
    with body():
        calls = [repo.contains("a"), repo.info("a"), repo.delete("a")]
        assert all(map(inspect.iscoroutine, calls))
        await asyncio.gather(*(asyncio.create_task(call) for call in calls))


async def test_a_scope_lists_the_calls_that_have_not_ended() -> None:
    repo = InProcessMetadataRepository()
    with body() as scope:
        await repo.dump("a", 1)
        forgotten = repo.dump("b", 2)
        assert scope.unfinished() == [forgotten]
        await forgotten
        assert scope.unfinished() == []


async def test_a_scope_keeps_only_some_of_many_finished_calls() -> None:
    repo = InProcessMetadataRepository()
    with body() as scope:
        forgotten = repo.dump("forgotten", 0)
        for number in range(10 * MAX_RECORDED_CALLS):
            await repo.dump(f"job{number}", number)
        assert scope.unfinished() == [forgotten]
        assert len(scope.calls) <= MAX_RECORDED_CALLS + 1
        forgotten.close()
