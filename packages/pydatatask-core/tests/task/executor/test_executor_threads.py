"""Functions in threads: their access to repositories, and the event loops of the threads."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(str(Path(__file__).parent / "support"))

from executor_bound import Bound
from executor_stage import in_files, in_memory

from pydatatask_core import (
    BlobRepository,
    InProcessBlobRepository,
    InProcessMetadataRepository,
    MetadataRepository,
    RelatedItemRepository,
    Repository,
    Session,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import JobNotFoundError, LocalFileMissingError, NotAwaitedError
from pydatatask_core.utils import AReadText

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from pydatatask_core.utils import AWriteText


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


async def in_thread(threads: ThreadPoolExecutor, func: Any, **links: Repository) -> Any:
    """Run a function for job ``a`` and return the values that it put into ``found``."""
    found: list[Any] = []

    async def body(job: str, **given: Any) -> None:
        found.append(await func(job, **{name: given[name] for name in links}))

    stage = in_memory(threads, body)
    for name, repo in links.items():
        stage.task.link(name, repo)
    await stage.feed("a")
    await stage.run()
    record = await stage.done.info("a")
    assert record["success"], record["traceback"]
    return found[0]


# -- access to repositories ----------------------------------------------------------------------


async def test_an_error_in_the_drivers_loop_is_raised_unchanged_in_the_thread(
    threads: ThreadPoolExecutor,
) -> None:
    async def body(job: str, repo: Any) -> str:
        with pytest.raises(JobNotFoundError):
            await repo.broken()
        with pytest.raises(AttributeError):
            _ = repo.no_such_thing
        with pytest.raises(TypeError, match="cannot be pickled"):
            repo.__reduce__()
        return "seen"

    assert await in_thread(threads, body, repo=Bound()) == "seen"


async def test_a_proxy_uses_its_repository_in_the_drivers_loop(
    threads: ThreadPoolExecutor,
) -> None:
    repo = Bound()
    await repo.dump("b", [1])
    await repo.dump("c", [2])

    async def body(job: str, repo: Any) -> dict[str, Any]:
        await repo.dump("d", [3])
        return {
            "loop": asyncio.get_running_loop() is repo.home,
            "is": (isinstance(repo, MetadataRepository), isinstance(repo, BlobRepository)),
            "info": await repo.info("b"),
            "keys": await repo.keys(),
            "contains": (await repo.contains("b"), await repo.contains("x")),
            "iteration": sorted([j async for j in repo]),
            "all": await repo.info_all(),
            "many": await repo.info_many(["c"]),
            "plain": repo.plain(1),
            "attribute": repo.entered is repo.entered,
            "repr": repr(repo),
            "identity": repo.identity,
            "same": (await repo.other()).plain(2),
            "valid": (repo.is_valid_job_id("x"), repo.is_valid_job_id("../x")),
        }

    found = await in_thread(threads, body, repo=repo)

    assert found == {
        "loop": False,
        "is": (True, False),
        "info": [1],
        "keys": {"b", "c", "d"},
        "contains": (True, False),
        "iteration": ["b", "c", "d"],
        "all": {"b": [1], "c": [2], "d": [3]},
        "many": {"c": [2]},
        "plain": 2,
        "attribute": True,
        "repr": "Bound(<3 jobs>)",
        "identity": None,
        "same": 3,
        "valid": (True, False),
    }


async def test_views_created_in_a_thread_are_proxies_too(
    threads: ThreadPoolExecutor,
) -> None:
    repo = Bound()
    await repo.dump("b", 1)
    other = InProcessMetadataRepository({"b": 5, "c": 6})

    async def body(job: str, repo: Any, other: Any) -> Any:
        doubled = repo.map(lambda value: 2 * value)
        both, either, without = repo & other, repo | other, other - repo
        return (
            await doubled.info("b"),
            await both.keys(),
            await either.keys(),
            await without.keys(),
        )

    found = await in_thread(threads, body, repo=repo, other=other)

    assert found == (2, {"b"}, {"b", "c"}, {"c"})


async def test_generators_of_a_repository_are_refused_because_they_belong_to_another_loop(
    threads: ThreadPoolExecutor,
) -> None:
    async def body(job: str, repo: Any) -> Any:
        for name in ("names", "lease"):
            with pytest.raises(TypeError, match=f"{name} of Bound.* `async def` method"):
                getattr(repo, name)
        return "seen"

    assert await in_thread(threads, body, repo=Bound()) == "seen"


async def test_a_repository_of_blobs_and_metadata_offers_both_in_a_thread(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    records = YamlMetadataFileRepository(tmp_path / "records")
    view = RelatedItemRepository(records, InProcessMetadataRepository({"a": "b", "c": "missing"}))
    await records.validate()

    async def body(job: str, view: Any) -> Any:
        await view.dump(job, {"n": 1})
        async with await view.open(job) as text:
            assert await text.read() == "n: 1\n"
        assert (await view.is_missing(), str(view.fullpath(job))[-6:]) == (False, "b.yaml")
        return await view.info(job), isinstance(view, BlobRepository | MetadataRepository)

    assert await in_thread(threads, body, view=view) == ({"n": 1}, True)
    assert await records.keys() == {"b"}


async def test_blobs_are_streamed_both_ways_and_a_failed_writer_publishes_nothing(
    threads: ThreadPoolExecutor,
) -> None:
    blobs = InProcessBlobRepository()
    text = "".join(f"line {n} \N{SNOWMAN}\r\n" for n in range(5000))

    async def fail_half_way(writer: AWriteText) -> None:
        async with writer:
            await writer.write("half")
            raise ZeroDivisionError

    async def body(job: str, blobs: BlobRepository) -> Any:
        async with await blobs.open("text", "w") as writer:
            for piece in (text[:1000], text[1000:]):
                await writer.write(piece)
        async with await blobs.open("bytes", "wb") as raw:
            await raw.write(b"\x00\xff")
        with pytest.raises(ZeroDivisionError):
            await fail_half_way(await blobs.open("never", "w"))
        with pytest.raises(JobNotFoundError):
            await blobs.open("never")
        with pytest.raises(ValueError, match="mode"):
            await blobs.open("text", "x")  # type: ignore[call-overload]
        async with await blobs.open("text") as reader:
            assert (
                type(reader) is AReadText
            )  # decoded in this thread, so that a line needs no portal call
            lines = [line async for line in reader]
        async with await blobs.open("bytes", "rb") as stream:
            some = await stream.read(1)
        return lines, some

    lines, some = await in_thread(threads, body, blobs=blobs)

    assert lines == text.splitlines(keepends=True)
    assert some == b"\x00"
    assert await blobs.keys() == {"text", "bytes"}


async def test_local_files_are_published_by_the_drivers_loop(threads: ThreadPoolExecutor) -> None:
    base, names = InProcessBlobRepository(), InProcessMetadataRepository({"job": "translated"})

    async def body(job: str, blobs: BlobRepository) -> Any:
        async with blobs.local_file("file", "w") as path:
            await asyncio.to_thread(path.write_text, "whole")
        async with blobs.open_sync("sync", "w") as file:
            await asyncio.to_thread(print, "printed", file=file)
        with pytest.raises(LocalFileMissingError):
            async with blobs.local_file("never", "wb"):
                pass
        async with blobs.open_sync("file") as file:
            return await asyncio.to_thread(file.read)

    assert await in_thread(threads, body, blobs=base) == "whole"
    assert base.data == {"file": b"whole", "sync": b"printed\n"}

    async def through_a_view(job: str, view: BlobRepository) -> None:
        async with view.open_sync("job", "wb") as file:
            await asyncio.to_thread(file.write, b"seen")

    await in_thread(threads, through_a_view, view=RelatedItemRepository(base, names))
    assert base.data["translated"] == b"seen"


async def test_a_write_in_a_thread_that_is_not_awaited_publishes_nothing(
    threads: ThreadPoolExecutor,
) -> None:
    blobs = InProcessBlobRepository()

    async def body(job: str, blobs: BlobRepository) -> Any:
        for mode, data in (("w", "x"), ("wb", b"x")):
            stream: Any = await blobs.open(mode, mode)  # type: ignore[call-overload]
            stream.write(data).close()
            with pytest.raises(NotAwaitedError):
                await stream.close()

    await in_thread(threads, body, blobs=blobs)
    assert blobs.data == {}


async def test_a_call_of_a_proxy_that_is_not_awaited_fails_the_job_and_is_named(
    threads: ThreadPoolExecutor,
) -> None:
    def body(job: str, inp: Any, repo: Any) -> None:
        inp.dump(job, 2)
        repo.other()

    stage = in_memory(threads, body)
    stage.task.link("repo", Bound())
    await stage.feed("a")

    await stage.run()

    record = await stage.done.info("a")
    assert "`inp.dump('a')`, `repo.other()` was called but never awaited" in record["exception"]
    assert await stage.inp.info("a") == 1


async def test_file_repositories_are_used_in_the_thread_itself(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    seen: list[Any] = []

    async def body(job: str, inp: Any, marks: Any) -> None:
        async with await marks.open(job, "w") as file:
            await file.write(str(await inp.info(job)))
        seen.extend([inp, marks])

    stage = in_files(tmp_path, threads, body)
    await stage.feed("a")

    await stage.run()

    assert seen == [stage.inp, stage.task.links["marks"].repo]
    assert (tmp_path / "marks" / "a").read_text() == "1"


async def test_a_synchronous_function_can_run_its_own_loop(
    threads: ThreadPoolExecutor,
) -> None:
    repo = Bound()

    def body(job: str, inp: Any, repo: Any) -> None:
        asyncio.run(repo.dump(job, asyncio.run(inp.info(job))))

    stage = in_memory(threads, body)
    stage.task.link("repo", repo)
    await stage.feed("a")

    await stage.run()

    assert repo.data == {"a": 1}


async def test_a_session_resource_may_provide_the_executor(tmp_path: Path) -> None:
    session = Session()

    @session.resource
    async def pool() -> AsyncGenerator[ThreadPoolExecutor, None]:
        executor = ThreadPoolExecutor(1)
        yield executor
        await asyncio.to_thread(executor.shutdown)

    async def body(job: str, inp: Any, out: Any) -> None:
        await out.dump(job, threading.current_thread().name)

    stage = in_memory(pool, body)
    await stage.feed("a")

    for _ in range(2):
        async with stage.pipeline(session=session) as pipeline:
            await pipeline.run(timeout=50)
            await stage.done.delete("a")

    assert "ThreadPoolExecutor" in await stage.out.info("a")


# -- loops ---------------------------------------------------------------------------------------


async def test_the_loop_of_a_thread_is_closed_when_the_thread_ends() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def body(job: str, inp: Any) -> None:
        loops.append(asyncio.get_running_loop())

    with ThreadPoolExecutor(1) as pool:
        stage = in_memory(pool, body)
        await stage.feed("a", "b")
        await stage.run()
        assert not loops[0].is_closed()
    gc.collect()

    assert loops[0] is loops[1]
    assert loops[0].is_closed()


async def test_tasks_that_a_job_leaves_running_end_with_it(threads: ThreadPoolExecutor) -> None:
    ended: list[str] = []

    async def linger() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("lingering")

    async def body(job: str, inp: Any) -> None:
        body.kept = asyncio.create_task(linger())  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    stage = in_memory(threads, body)
    await stage.feed("a")

    await stage.run()

    assert ended == ["lingering"]
    assert (await stage.done.info("a"))["success"] is True
