"""Functions in threads: what they see of the repositories, and how they are stopped."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(str(Path(__file__).parent / "support"))

from executor_stage import in_files, in_memory

from pydatatask_core import (
    BlobRepository,
    InProcessBlobRepository,
    InProcessMetadataRepository,
    MetadataRepository,
    Pipeline,
    Repository,
    Session,
)
from pydatatask_core.errors import JobNotFoundError, TaskError
from pydatatask_core.task._executor import hop
from pydatatask_core.task._executor.hop import Bridge
from pydatatask_core.utils import AReadText

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from pydatatask_core.utils import AWriteText


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


class Bound(InProcessMetadataRepository):
    """A repository that, like a client of a server, works in one event loop only."""

    def __init__(self) -> None:
        super().__init__()
        self.home = asyncio.get_running_loop()
        self.entered: list[str] = []
        self.waiting = threading.Event()

    def _check(self) -> None:
        assert asyncio.get_running_loop() is self.home

    async def info(self, job: str) -> Any:
        self._check()
        return await super().info(job)

    async def dump(self, job: str, data: Any) -> None:
        self._check()
        await super().dump(job, data)

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        self._check()
        async for job in super().unfiltered_iter():
            await asyncio.sleep(0)
            yield job

    async def names(self) -> AsyncGenerator[str, None]:
        self._check()
        try:
            for job in self.data:
                yield job
        finally:
            self.entered.append("closed")

    @asynccontextmanager
    async def lease(self, job: str) -> AsyncGenerator[str, None]:
        self._check()
        self.entered.append("entered")
        try:
            yield job.upper()
        finally:
            self._check()
            self.entered.append("left")

    async def other(self) -> Bound:
        return self

    async def wait(self) -> None:
        """Wait for ever, and take a while to be cancelled."""
        self._check()
        try:
            self.waiting.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.entered.append("cancelled")

    def plain(self, number: int) -> int:
        return number + 1

    async def broken(self) -> None:
        raise JobNotFoundError("x", self)


async def in_thread(threads: ThreadPoolExecutor, func: Any, **links: Repository) -> Any:
    """Run a function for job ``a`` and give what it has put into ``found``."""
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


# -- what a function sees ------------------------------------------------------------------------


async def test_an_error_in_the_other_loop_arrives_as_the_exception_that_it_is(
    threads: ThreadPoolExecutor,
) -> None:
    async def body(job: str, repo: Any) -> str:
        with pytest.raises(JobNotFoundError):
            await repo.broken()
        with pytest.raises(AttributeError):
            _ = repo.no_such_thing
        with pytest.raises(TypeError, match="cannot travel"):
            repo.__reduce__()
        return "seen"

    assert await in_thread(threads, body, repo=Bound()) == "seen"


async def test_a_repository_of_the_drivers_loop_is_used_there_and_looks_as_it_is(
    threads: ThreadPoolExecutor,
) -> None:
    repo = Bound()
    await repo.dump("b", [1])
    await repo.dump("c", [2])

    async def body(job: str, repo: Any) -> dict[str, Any]:
        await repo.dump("d", [3])
        return {
            "loop": asyncio.get_running_loop() is repo.home,
            "is": (isinstance(repo, Bound), isinstance(repo, MetadataRepository)),
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
            "generator": [n async for n in repo.names()],
            "same": (await repo.other()).plain(2),
            "valid": (repo.is_valid_job_id("x"), repo.is_valid_job_id("../x")),
        }

    found = await in_thread(threads, body, repo=repo)

    assert found == {
        "loop": False,
        "is": (True, True),
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
        "generator": ["b", "c", "d"],
        "same": 3,
        "valid": (True, False),
    }


async def test_what_is_made_of_a_repository_in_a_thread_hops_as_well(
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


async def test_contexts_and_generators_are_entered_and_left_in_the_drivers_loop(
    threads: ThreadPoolExecutor,
) -> None:
    repo = Bound()
    await repo.dump("b", 1)
    await repo.dump("c", 1)

    async def body(job: str, repo: Any) -> Any:
        async with repo.lease(job) as lease:
            inside = list(repo.entered)
        async for _ in (names := repo.names()):
            break
        await names.aclose()
        return lease, inside

    assert await in_thread(threads, body, repo=repo) == ("A", ["entered"])
    assert repo.entered == ["entered", "left", "closed"]


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
            assert type(reader) is AReadText  # decoded in this thread, so a line costs no hop
            lines = [line async for line in reader]
        async with await blobs.open("bytes", "rb") as stream:
            some = await stream.read(1)
        return lines, some

    lines, some = await in_thread(threads, body, blobs=blobs)

    assert lines == text.splitlines(keepends=True)
    assert some == b"\x00"
    assert await blobs.keys() == {"text", "bytes"}


async def test_repositories_in_files_are_used_in_the_thread_itself(
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


async def test_a_function_that_is_not_async_can_run_a_loop_of_its_own(
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


async def test_a_resource_of_the_session_may_give_the_executor(tmp_path: Path) -> None:
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


async def test_what_a_job_leaves_running_ends_with_it(threads: ThreadPoolExecutor) -> None:
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


# -- stopping ------------------------------------------------------------------------------------


class Holding:
    """An async body that says that it has begun, and waits to be cancelled or let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.cancelled = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.go: asyncio.Event | None = None
        self.runs = 0

    async def __call__(self, job: str, inp: Any) -> None:
        self.loop, self.go = asyncio.get_running_loop(), asyncio.Event()
        self.runs += 1
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def let_go(self) -> None:
        assert self.loop is not None
        assert self.go is not None
        self.loop.call_soon_threadsafe(self.go.set)


def calling(holding: Holding) -> Callable[..., Any]:
    async def body(job: str, inp: Any) -> None:
        await holding(job, inp)

    return body


async def begun(event: threading.Event) -> None:
    await asyncio.to_thread(event.wait)


async def test_deleting_a_running_job_from_live_stops_and_records_it(
    threads: ThreadPoolExecutor,
) -> None:
    holding = Holding()
    stage = in_memory(threads, calling(holding), retries=3)
    live = stage.task.links["live"].repo
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await begun(holding.begun)
        assert await live.keys() == {"a"}
        await live.delete("a")

        assert holding.cancelled.is_set()
        assert not await live.contains("a")
        assert not await live.keys()
        assert not await pipeline.gather_ready_jobs(stage.task)
        await live.delete("a")  # it succeeds on what is not there
    record = await stage.done.info("a")
    assert record["success"] is False
    assert record["reason"] == "cancelled"


async def test_a_job_that_does_not_mind_being_cancelled_is_recorded_as_it_ended(
    threads: ThreadPoolExecutor,
) -> None:
    started = threading.Event()

    async def body(job: str, inp: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    stage = in_memory(threads, body)
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await begun(started)
        await stage.task.cancel("a")

    record = await stage.done.info("a")
    assert record["success"] is True
    assert "reason" not in record


async def test_a_job_that_cancels_itself_has_failed_and_is_not_called_cancelled(
    threads: ThreadPoolExecutor,
) -> None:
    async def body(job: str, inp: Any) -> None:
        raise asyncio.CancelledError

    stage = in_memory(threads, body)
    await stage.feed("a")

    await stage.run()

    record = await stage.done.info("a")
    assert record["success"] is False
    assert record["exception"] == "CancelledError: CancelledError"
    assert "reason" not in record


async def test_closing_cancels_async_functions_and_forgets_that_they_ran(
    threads: ThreadPoolExecutor,
) -> None:
    holding = Holding()
    stage = in_memory(threads, calling(holding))
    await stage.feed("a", "b", "c", "d")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await begun(holding.begun)

    assert holding.cancelled.is_set()
    assert holding.runs <= 2
    assert not stage.task.running
    assert not await stage.done.keys()
    async with stage.pipeline() as pipeline:
        assert await pipeline.gather_ready_jobs(stage.task) == {"a", "b", "c", "d"}


async def test_cancelling_a_run_leaves_its_jobs_to_the_next_run_of_the_same_opening(
    threads: ThreadPoolExecutor,
) -> None:
    holding = Holding()
    stage = in_memory(threads, calling(holding))
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        run = asyncio.create_task(pipeline.run())
        await begun(holding.begun)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert stage.task.running == {"a"}
        holding.let_go()
        await pipeline.run(timeout=50)

    assert holding.runs == 1
    assert (await stage.done.info("a"))["success"] is True


async def test_whoever_is_cancelled_while_hopping_is_told_when_it_has_ended_there(
    threads: ThreadPoolExecutor,
) -> None:
    repo = Bound()
    after: list[str] = []

    async def body(job: str, repo: Any, inp: Any) -> None:
        try:
            await repo.wait()
        finally:
            after.extend(repo.entered)

    stage = in_memory(threads, body)
    stage.task.link("repo", repo)
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await begun(repo.waiting)
        await stage.task.cancel("a")

    assert after == ["cancelled"]


async def test_closing_lets_go_of_a_thread_that_waits_for_the_drivers_loop() -> None:
    """Otherwise the pool could never be shut down, and the process not end."""
    repo = Bound()
    told: list[str] = []

    def body(job: str, repo: Any, inp: Any) -> None:
        try:
            asyncio.run(repo.wait())
        except TaskError as e:
            told.append(str(e))
        try:
            asyncio.run(repo.info(job))
        except TaskError as e:
            told.append(str(e))

    with ThreadPoolExecutor(1) as pool:
        stage = in_memory(pool, body)
        stage.task.link("repo", repo)
        await stage.feed("a")
        async with stage.pipeline() as pipeline:
            await pipeline.update()
            await begun(repo.waiting)
        # Shutting down blocks this loop until the thread has ended.

    assert len(told) == 2
    assert all("the pipeline that this job belongs to was closed" in text for text in told)


def test_a_loop_that_ends_without_closing_the_pipeline_lets_go_of_threads_as_well() -> None:
    told: list[str] = []

    def body(job: str, repo: Any, inp: Any) -> None:
        try:
            asyncio.run(repo.wait())
        except TaskError as e:
            told.append(str(e))

    async def forget() -> None:
        repo = Bound()
        stage = in_memory(pool, body)
        stage.task.link("repo", repo)
        await stage.feed("a")
        await stage.task.launch("a")
        await begun(repo.waiting)

    with ThreadPoolExecutor(1) as pool:
        asyncio.run(forget())

    assert len(told) == 1


def test_a_hop_that_a_loop_never_got_to_ends_when_the_loop_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hop, "CHECK", 0.01)
    loop = asyncio.new_event_loop()
    posted = threading.Event()
    post = loop.call_soon_threadsafe

    def noting(*args: Any) -> Any:
        handle = post(*args)
        posted.set()
        return handle

    monkeypatch.setattr(loop, "call_soon_threadsafe", noting)
    bridge = Bridge(loop)

    async def never() -> None:
        raise AssertionError

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(asyncio.run, bridge.run(never))
        posted.wait()
        loop.close()

        with pytest.raises(TaskError, match="was closed"):
            waiting.result()


def test_an_end_that_comes_between_two_loops_is_recorded_in_the_second(
    threads: ThreadPoolExecutor,
) -> None:
    started, go = threading.Event(), threading.Event()

    def body(job: str, inp: Any) -> None:
        started.set()
        go.wait()

    stage = in_memory(threads, body)

    async def launch() -> None:
        await stage.feed("a")
        async with stage.pipeline() as pipeline:
            await pipeline.update()
            await begun(started)

    async def cancel() -> None:
        async with stage.pipeline():
            await stage.task.cancel("a")

    asyncio.run(launch())
    go.set()
    threads.shutdown()
    asyncio.run(cancel())

    assert asyncio.run(stage.done.info("a"))["success"] is True


async def test_an_interrupt_fails_a_job_unless_it_ends_the_pipeline_as_well(
    threads: ThreadPoolExecutor,
) -> None:
    def body(job: str, inp: Any) -> None:
        raise KeyboardInterrupt

    stage = in_memory(threads, body)
    await stage.feed("a")

    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await stage.task._instances["a"].ended.wait()
    after_closing = await stage.done.keys()
    await stage.run()

    assert not after_closing
    assert (await stage.done.info("a"))["exception"].startswith("KeyboardInterrupt")


async def test_ends_that_come_while_nobody_listens_are_recorded_at_the_next_opening(
    threads: ThreadPoolExecutor,
) -> None:
    started, go, ended = threading.Event(), threading.Event(), threading.Event()

    def body(job: str, inp: Any) -> None:
        started.set()
        go.wait()
        ended.set()

    stage = in_memory(threads, body)
    await stage.feed("a")
    async with stage.pipeline() as pipeline:
        await pipeline.update()
        await begun(started)
    go.set()
    await begun(ended)

    async with Pipeline([stage.task]) as pipeline:
        summary = await pipeline.run(timeout=50)

    assert summary.launched == {}
    assert (await stage.done.info("a"))["success"] is True


def test_a_task_can_be_used_in_one_loop_after_another(threads: ThreadPoolExecutor) -> None:
    async def body(job: str, inp: Any, out: Any) -> None:
        await out.dump(job, await inp.info(job))

    stage = in_memory(threads, body)

    async def once(job: str) -> None:
        await stage.feed(job)
        await stage.task.launch(job)
        await stage.finish()

    for job in ("a", "b"):
        asyncio.run(once(job))

    assert asyncio.run(stage.out.info_all()) == {"a": 1, "b": 1}
