"""A body that forgets to await a repository call fails, and the error names the call."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import (
    DirectoryRepository,
    ExecutorTask,
    FileRepository,
    InProcessBlobRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    MetadataRepository,
    RelatedItemRepository,
    Repository,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import NotAwaitedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.asyncio

Run = "Callable[..., Any]"


@pytest.fixture(params=["event loop", "thread"])
def make(request: Any) -> Iterator[Callable[..., Any]]:
    """Return a task factory for each kind of task that runs its body in this process."""
    with ThreadPoolExecutor(1) as threads:

        def make(body: Any, **links: Repository) -> Any:
            done = InProcessMetadataRepository()
            task: Any = (
                InProcessSyncTask("t", done, func=body)
                if request.param == "event loop"
                else ExecutorTask("t", threads, done, func=body)
            )
            task.synchronous = True
            for name, repo in links.items():
                task.link(name, repo, is_output=True, required_for_output=False)
            return task

        yield make


async def record(task: Any, job: str = "a") -> dict[str, Any]:
    """Run a job and return its record."""
    await task.launch(job)
    found: dict[str, Any] = await task.links["done"].repo.info(job)
    return found


async def failure(task: Any) -> str:
    """Run a job that fails and return the recorded reason."""
    found = await record(task)
    assert found["success"] is False
    return str(found["exception"])


async def end(task: asyncio.Task[Any]) -> None:
    """Wait for an asyncio task that a body left running; in threads it ended with its job."""
    if task.get_loop() is asyncio.get_running_loop():
        task.cancel()
        await asyncio.wait([task])


async def dump(job: str, out: Any) -> None:
    out.dump(job, 1)


async def kept_dump(job: str, out: Any) -> None:
    out.kept = out.dump(job, data=1)


async def delete(job: str, out: Any) -> None:
    out.delete(job)


async def contains(job: str, out: Any) -> None:
    if out.contains(job):
        pass


async def close(job: str, blobs: Any) -> None:
    stream = await blobs.open(job, "wb")
    await stream.write(b"x")
    stream.close()


async def open_blob(job: str, blobs: Any) -> None:
    blobs.open(job, "w")


async def write(job: str, blobs: Any) -> None:
    stream = await blobs.open(job, "w")
    stream.write("x")


@pytest.mark.parametrize(
    ("body", "call"),
    [
        (dump, r"out\.dump\('a'\)"),
        (kept_dump, r"out\.dump\('a'\)"),
        (delete, r"out\.delete\('a'\)"),
        (contains, r"out\.contains\("),
        (open_blob, r"blobs\.open\('a'\)"),
        (close, r"blob of job 'a' in memory>\.close\(\)"),
        (write, r"blob of job 'a' in memory>\)?\.write\("),
    ],
)
async def test_a_call_that_was_never_awaited_fails_the_job_and_is_named_in_the_error(
    make: Any, body: Any, call: str
) -> None:
    out, blobs = InProcessMetadataRepository(), InProcessBlobRepository()
    text = await failure(make(body, out=out, blobs=blobs))
    assert text.startswith("NotAwaitedError: ")
    assert "never awaited" in text
    assert re.search(call, text), text
    assert not await out.contains("a")
    assert not await blobs.contains("a")


async def leave_open(job: str, blobs: Any) -> None:
    stream = await blobs.open(job, "w")
    await stream.write("x")


async def leave_open_behind_a_view(job: str, blobs: Any) -> None:
    names = InProcessMetadataRepository({job: "b"})
    await leave_open(job, RelatedItemRepository(blobs, names))


@pytest.mark.parametrize("body", [leave_open, leave_open_behind_a_view])
async def test_a_stream_that_was_not_closed_fails_the_job(
    make: Any, tmp_path: Path, body: Any
) -> None:
    for blobs in (InProcessBlobRepository(), FileRepository(tmp_path)):
        text = await failure(make(body, blobs=blobs))
        assert text.startswith("NotAwaitedError: ")
        assert "was not closed when the function returned" in text
        assert not await blobs.keys()


async def test_a_stream_that_another_asyncio_task_writes_to_fails_the_job(make: Any) -> None:
    begun: list[asyncio.Task[None]] = []

    async def body(job: str, blobs: Any) -> None:
        stream = await blobs.open(job, "wb")

        async def write() -> None:
            async with stream:
                await asyncio.sleep(3600)

        begun.append(asyncio.create_task(write()))
        await asyncio.sleep(0)

    blobs = InProcessBlobRepository()
    assert "was not closed when the function returned" in await failure(make(body, blobs=blobs))
    await end(begun[0])
    assert not await blobs.keys()


async def test_a_stream_that_was_discarded_or_closed_late_is_not_a_failure(make: Any) -> None:
    blobs = InProcessBlobRepository()
    closing: list[asyncio.Task[None]] = []

    async def body(job: str, blobs: Any) -> None:
        await (await blobs.open("discarded", "w")).abort()
        stream = await blobs.open(job, "w")
        await stream.write("x")
        closing.append(asyncio.create_task(stream.close()))

    assert (await record(make(body, blobs=blobs)))["success"]
    assert await blobs.keys() == {"a"}


async def test_file_repositories_and_views_are_named_in_the_error_too(
    make: Any, tmp_path: Path
) -> None:
    names = InProcessMetadataRepository({"a": "b"})
    kinds: dict[str, Any] = {
        "files": YamlMetadataFileRepository(tmp_path / "files"),
        "view": RelatedItemRepository(InProcessMetadataRepository(), names),
    }
    for name, repo in kinds.items():

        async def body(job: str, name: str = name, **links: Any) -> None:
            links[name].dump(job, 1)

        text = await failure(make(body, **{name: repo}))
        assert f"`{name}.dump('a')` was called but never awaited" in text


async def test_a_repository_that_is_not_a_link_is_named_by_its_own_name(
    make: Any, tmp_path: Path
) -> None:
    elsewhere = FileRepository(tmp_path)

    async def body(job: str) -> None:
        elsewhere.open(job, "w")  # type: ignore[unused-coroutine]

    assert f"{elsewhere!r}.open('a')" in await failure(make(body))


async def test_a_call_inside_a_third_party_repository_is_detected(make: Any) -> None:
    class Models(InProcessMetadataRepository):
        async def publish(self, job: str) -> None:
            await self.dump(job, 1)

    async def body(job: str, out: Any) -> None:
        out.publish(job)

    assert "out.publish('a')" in await failure(make(body, out=Models()))


async def test_asyncio_tasks_that_wrap_calls_are_awaited(make: Any, tmp_path: Path) -> None:
    out = YamlMetadataFileRepository(tmp_path / "out")
    kept: list[Any] = []

    async def body(job: str, out: Any) -> None:
        kept.append(asyncio.create_task(out.dump(job, 1)))
        kept.append(asyncio.gather(*(out.dump(f"{job}{n}", n) for n in range(3))))

    assert (await record(make(body, out=out)))["success"]
    assert await out.keys() == {"a", "a0", "a1", "a2"}


async def test_an_asyncio_task_whose_call_fails_fails_the_job(make: Any) -> None:
    kept = []

    async def body(job: str, out: Any) -> None:
        kept.append(asyncio.create_task(out.dump("no job id", 1)))

    assert "InvalidJobIdError" in await failure(make(body, out=InProcessMetadataRepository()))


async def test_a_value_still_being_written_at_the_end_is_not_published_and_the_job_fails(
    make: Any,
) -> None:
    class Slow(InProcessMetadataRepository):
        async def dump(self, job: str, data: Any) -> None:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await super().dump(job, data)

    kept: list[asyncio.Task[None]] = []

    async def body(job: str, out: Any) -> None:
        async def later() -> None:
            await out.dump(job, 1)

        kept.append(asyncio.create_task(later()))
        await asyncio.sleep(0)

    text = await failure(make(body, out=Slow()))
    assert "out.dump('a')` had not ended when the function returned" in text
    await end(kept[0])


async def test_a_write_that_begins_after_the_end_is_rejected(make: Any) -> None:
    out = InProcessMetadataRepository()
    kept: list[asyncio.Task[None]] = []

    async def body(job: str, out: Any) -> None:
        async def later() -> None:
            await out.dump(job, 1)

        kept.append(asyncio.create_task(later()))

    await record(make(body, out=out))
    if kept[0].get_loop() is asyncio.get_running_loop():
        with pytest.raises(NotAwaitedError, match="await every asyncio task"):
            await kept[0]
    assert not await out.contains("a")


async def test_calls_may_be_awaited_in_any_way(make: Any) -> None:
    async def body(job: str, out: Any, blobs: Any) -> None:
        await out.dump(job, 1)
        await asyncio.gather(out.dump("b", 1), out.contains("b"), out.info("b"))
        async with asyncio.TaskGroup() as group:
            group.create_task(out.dump("c", 1))
        await asyncio.wait_for(out.delete("c"), 30)
        async with await blobs.open(job, "w") as stream:
            await stream.write("x")
        assert [key async for key in blobs] == [job]

    links: dict[str, Any] = {
        "out": InProcessMetadataRepository(),
        "blobs": InProcessBlobRepository(),
    }
    assert (await record(make(body, **links)))["success"]


async def test_an_error_of_the_body_lists_the_calls_that_were_not_awaited(make: Any) -> None:
    async def body(job: str, out: Any) -> None:
        out.dump(job, 1)
        raise KeyError("mine")

    found = await record(make(body, out=InProcessMetadataRepository()))
    assert found["exception"] == "KeyError: 'mine'"
    assert "`out.dump('a')` was called but not awaited." in found["traceback"]


async def test_using_a_coroutine_as_a_value_adds_the_call_to_the_error(
    make: Any,
) -> None:
    async def opens(job: str, blobs: Any) -> None:
        async with blobs.open(job, "w"):
            pass

    async def measures(job: str, blobs: Any) -> None:
        len(blobs.info(job))

    for body, call in ((opens, "open"), (measures, "info")):
        told = await failure(make(body, blobs=InProcessBlobRepository()))
        assert told.startswith("TypeError: ")
        assert told.endswith(f" (`blobs.{call}('a')` was called but not awaited)")


async def test_errors_of_code_that_does_not_await_include_the_remedy(make: Any) -> None:
    async def opens(job: str, blobs: Any) -> None:
        with blobs.open_sync(job, "w") as file:
            file.write("x")

    async def awaits(job: str, blobs: Any) -> None:
        async with await blobs.open_sync(job, "w") as file:
            file.write("x")

    async def writes(job: str, blobs: Any) -> None:
        blobs.open_sync(job, "w").write("x")

    async def opens_stream(job: str, blobs: Any) -> None:
        with await blobs.open(job, "w") as stream:
            await stream.write("x")

    async def iterates(job: str, blobs: Any) -> None:
        async with await blobs.open("full") as stream:
            list(stream)

    blobs = InProcessBlobRepository({"full": b"x"})
    for body, remedy in (
        (opens, "by `async with`, not by `with`"),
        (awaits, "write `async with` without `await`"),
        (writes, "has no 'write'; `async with open_sync(...) as ...` returns the object to use"),
        (opens_stream, "by `async with`, not by `with`"),
        (iterates, "`async for line in stream`"),
    ):
        assert remedy in await failure(make(body, blobs=blobs))
    assert blobs.data == {"full": b"x"}


async def test_a_synchronous_body_does_not_need_to_await_calls() -> None:
    def body(job: str, out: MetadataRepository) -> None:
        out.dump(job, 1)  # type: ignore[unused-coroutine]

    with ThreadPoolExecutor(1) as threads:
        task = ExecutorTask("t", threads, InProcessMetadataRepository(), func=body)
        task.synchronous = True
        task.link("out", InProcessMetadataRepository(), is_output=True)
        assert "out.dump('a')" in await failure(task)


async def test_a_forgotten_write_fails_the_job_and_publishes_nothing(
    make: Any, tmp_path: Path
) -> None:
    out = FileRepository(tmp_path, ".txt")

    async def body(job: str) -> None:
        async with await out.open(job, "w") as stream:
            stream.write("hello")  # type: ignore[unused-coroutine]

    text = await failure(make(body, out=out))
    assert "NotAwaitedError" in text
    assert "local_file" in text
    assert not await out.contains("a")


async def test_a_directory_that_is_still_being_written_does_not_appear_later(
    make: Any, tmp_path: Path
) -> None:
    out = DirectoryRepository(tmp_path)
    kept: list[Any] = []

    async def body(job: str, out: Any) -> None:
        async def later() -> None:
            async with out.build(job) as path:
                (path / "file").touch()
                await asyncio.Event().wait()

        kept.append(asyncio.create_task(later()))
        await asyncio.sleep(0)

    await record(make(body, out=out))
    await end(kept[0])
    assert not await out.contains("a")
