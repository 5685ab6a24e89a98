"""Functions that run in the driver's own loop: accepted signatures and recorded outcomes."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from pydatatask_core import (
    FileRepository,
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
    Retries,
)
from pydatatask_core.errors import TaskConfigurationError, TaskError
from pydatatask_core.task import function
from pydatatask_core.task import outcome_log as outcomes

FAR = 3600.0


def task_of(body: Any, *names: str, **arguments: Any) -> InProcessSyncTask:
    """Create a task over the given jobs."""
    task = InProcessSyncTask("t", InProcessMetadataRepository(), func=body, **arguments)
    task.link("source", InProcessMetadataRepository(dict.fromkeys(names)), is_input=True)
    return task


async def record_of(task: InProcessSyncTask, job: str = "a") -> Any:
    """Run the pipeline and return the record of a job."""
    async with Pipeline([task]) as pipeline:
        await pipeline.run(poll=FAR)
    return await task.links["done"].repo.info(job)


# -- accepted bodies -------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [print, lambda job: job, "text", 3, InProcessSyncTask])
def test_a_body_that_is_not_an_async_function_is_rejected_at_once(body: Any) -> None:
    with pytest.raises(TaskConfigurationError, match="the body of t has to be an `async def`"):
        InProcessSyncTask("t", InProcessMetadataRepository(), func=body)
    with pytest.raises(TaskConfigurationError, match="has to be an `async def`"):
        InProcessSyncTask("t", InProcessMetadataRepository())(body)


def test_a_second_body_is_rejected_and_the_error_names_both() -> None:
    async def one(job: str) -> None: ...
    async def two(job: str) -> None: ...

    task = InProcessSyncTask("t", InProcessMetadataRepository())(one)
    with pytest.raises(TaskConfigurationError, match=r"body already, .*one; .*two"):
        task(two)


async def test_a_task_without_a_body_is_reported_when_the_pipeline_opens() -> None:
    with pytest.raises(TaskConfigurationError, match="t has no body"):
        await Pipeline([InProcessSyncTask("t", InProcessMetadataRepository())]).open()


async def no_job() -> None: ...
async def job_by_keyword_only(*, job: str) -> None: ...
async def unknown_link(job: str, source: Any, sink: Any) -> None: ...
async def positional_link(job: str, source: Any, /) -> None: ...


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (no_job, "has to take the job as its first parameter"),
        (job_by_keyword_only, "has to take the job as its first parameter"),
        (
            unknown_link,
            "parameter 'sink', which is not a link of the task; its links are: done, source",
        ),
        (positional_link, "parameter 'source', which is not a link"),
    ],
)
async def test_a_body_with_an_unusable_signature_is_rejected_when_the_pipeline_opens(
    body: Any, complaint: str
) -> None:
    with pytest.raises(TaskConfigurationError, match=complaint):
        await Pipeline([task_of(body, "a")]).open()


def test_a_repository_that_cannot_store_records_is_rejected_as_done(tmp_path: Any) -> None:
    with pytest.raises(TaskConfigurationError, match=r"t\.done: .*metadata.*FileRepository"):
        InProcessSyncTask("t", FileRepository(tmp_path))  # type: ignore[arg-type]


class Bodies:
    """Several ways to write a body; each notes its arguments."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, set[str]]] = []

    async def method(self, job: str, source: Any) -> None:
        self.seen.append((job, {"source"}))

    async def everything(self, job: str, **links: Any) -> None:
        self.seen.append((job, set(links)))

    async def anything(self, *args: Any, **links: Any) -> None:
        self.seen.append((args[0], set(links)))

    async def with_default(self, job: str, source: Any, limit: int = 3) -> None:
        self.seen.append((job, {"source"} if limit == 3 else set()))

    async def keyword_only(self, job: str, *, source: Any) -> None:
        self.seen.append((job, {"source"}))

    async def one_too_many(self, limit: int, job: str, source: Any) -> None:
        self.seen.append((job, {"source"} if limit == 5 else set()))

    async def __call__(self, name: str, source: Any) -> None:
        self.seen.append((name, {"source"}))

    @property
    def wrapped(self) -> Any:
        @functools.wraps(self.method)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return self.method(*args, **kwargs)

        return wrapper

    @property
    def partial(self) -> Any:
        return functools.partial(self.one_too_many, 5)

    @property
    def itself(self) -> Any:
        return self


@pytest.mark.parametrize(
    ("kind", "links"),
    [
        ("method", {"source"}),
        ("everything", {"source", "done"}),
        ("anything", {"source", "done"}),
        ("with_default", {"source"}),
        ("keyword_only", {"source"}),
        ("partial", {"source"}),
        ("wrapped", {"source"}),
        ("itself", {"source"}),
    ],
)
async def test_a_body_receives_the_job_and_the_links_named_by_its_parameters(
    kind: str, links: set[str]
) -> None:
    bodies = Bodies()

    record = await record_of(task_of(getattr(bodies, kind), "a"))

    assert bodies.seen == [("a", links)]
    assert record["success"] is True


async def test_a_link_named_like_the_job_parameter_is_not_passed_twice() -> None:
    bodies = Bodies()
    task = task_of(bodies.everything, "a")
    task.link("job", InProcessMetadataRepository())

    assert (await record_of(task))["success"] is True
    assert bodies.seen == [("a", {"source", "done"})]


# -- recorded outcomes -----------------------------------------------------------------------------


async def test_a_success_is_recorded_with_its_times_and_attempt() -> None:
    async def body(job: str) -> str:
        return "thrown away"

    before = datetime.now(UTC)
    record = await record_of(task_of(body, "a"))

    assert record.keys() == {"success", "start_time", "end_time", "attempt"}
    assert (record["success"], record["attempt"]) == (True, 1)
    assert before <= record["start_time"] <= record["end_time"] <= datetime.now(UTC)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Mute(BaseException):
    def __str__(self) -> str:
        raise SystemExit(3)

    def __repr__(self) -> str:
        raise SystemExit(3)


class Panic(BaseException):
    """An exception like pyo3's PanicException (a bug in a Rust extension): not an `Exception`."""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no good"), "ValueError: no good"),
        (ValueError(), "ValueError: ValueError"),
        (SystemExit(2), "SystemExit: 2"),
        (asyncio.CancelledError("inside"), "CancelledError: inside"),
        (TimeoutError(), "TimeoutError: TimeoutError"),
        (Unspeakable(), "Unspeakable: (no text: its __str__ raised RuntimeError)"),
        (Mute(), "Mute: (no text: its __str__ raised SystemExit)"),
        (Panic("unwrap() on None"), "Panic: unwrap() on None"),
        (GeneratorExit(), "GeneratorExit: GeneratorExit"),
        (BaseExceptionGroup("all", [Panic("1"), SystemExit(2)]), "all (2 sub-exceptions)"),
        (ValueError("\udc80"), "ValueError: \\udc80"),
        (ExceptionGroup("both", [ValueError("1"), KeyError("2")]), "both (2 sub-exceptions)"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_any_exception_of_a_body_fails_only_its_own_job(
    error: BaseException, text: str
) -> None:
    """P6: even one that normally ends a program."""

    async def body(job: str) -> None:
        if job == "a":
            raise error

    task = task_of(body, "a", "b")
    record = await record_of(task)

    assert record["success"] is False
    assert text in record["exception"]
    assert record["traceback"].startswith(("Traceback", "  + Exception Group Traceback"))
    record["traceback"].encode()
    assert (await task.links["done"].repo.info("b"))["success"] is True


class Nameless(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise SystemExit(3)


class Anonymous(Exception, metaclass=Nameless):
    pass


async def test_an_exception_whose_type_has_no_readable_name_is_recorded() -> None:
    async def body(job: str) -> None:
        raise Anonymous("x")

    record = await record_of(task_of(body, "a"))
    assert (record["success"], record["exception"]) == (False, "Anonymous: x")


async def test_the_texts_of_a_record_have_a_maximum_length() -> None:
    async def body(job: str) -> None:
        raise ValueError("x" * 1_000_000)

    record = await record_of(task_of(body, "a"))

    assert len(record["exception"]) <= function.MAX_MESSAGE_LENGTH + 100
    assert len(record["traceback"]) <= function.MAX_TRACEBACK_LENGTH


async def test_endless_recursion_is_a_failure_like_any_other() -> None:
    async def body(job: str) -> None:
        await body(job)

    assert "RecursionError" in (await record_of(task_of(body, "a")))["exception"]


async def test_only_the_last_attempt_is_recorded_with_its_number() -> None:
    async def body(job: str) -> None:
        raise ValueError(job)

    record = await record_of(task_of(body, "a", retries=Retries(3, delay=0)))

    assert record["attempt"] == 4


# -- outside a loop --------------------------------------------------------------------------------


async def test_a_manual_launch_waits_for_all_attempts() -> None:
    attempts = []

    async def body(job: str) -> None:
        attempts.append(sorted(task.running))
        raise ValueError

    task = task_of(body, "a", retries=Retries(2, delay=0.001))
    await task.launch("a")
    assert attempts == [["a"]] * 3
    assert (await task.links["done"].repo.info("a"))["attempt"] == 3

    async with Pipeline([task]) as pipeline:
        pipeline.settings(synchronous=True)
        await task.links["done"].repo.delete("a")
        assert await pipeline.update_only_launch()
    assert len(attempts) == 6

    pipeline.settings()
    await pipeline.open("one")
    await task.launch("a")
    await pipeline.close()
    assert len(attempts) == 9


async def test_without_a_loop_a_failed_job_stays_live_until_its_next_attempt() -> None:
    attempts = 0

    async def body(job: str) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise ValueError

    task = task_of(body, "a", retries=Retries(1, delay=0.01))
    async with Pipeline([task]) as pipeline:
        await pipeline.update_only_launch()
        assert await pipeline.update_only_update()
        assert await pipeline.gather_ready_jobs(task) == set()
        while not task.due_retries:  # noqa: ASYNC110 - only a loop receives the event
            await asyncio.sleep(0)
        await pipeline.update_only_launch()
        assert not await pipeline.update_only_update()
    assert attempts == 2


async def test_a_running_job_cannot_be_launched_again() -> None:
    gate = asyncio.Event()

    async def body(job: str) -> None:
        await gate.wait()

    task = task_of(body, "a")
    first = asyncio.create_task(task.launch("a"))
    await asyncio.sleep(0)
    with pytest.raises(TaskError, match="'a' is running already"):
        await task.launch("a")
    gate.set()
    await first


async def test_a_wait_for_the_next_attempt_does_not_outlive_the_pipeline() -> None:
    runs = []

    async def body(job: str) -> None:
        runs.append(job)
        raise ValueError

    task = task_of(body, "a", retries=Retries(5, delay=0.02))
    pipeline = Pipeline([task])
    async with pipeline:
        await pipeline.update_only_launch()
    assert not task.running
    async with pipeline:
        await pipeline.update_only_launch()
        await asyncio.sleep(0.05)
        assert list(task.due_retries) == ["a"]


async def test_a_cancelled_job_leaves_no_record_and_runs_again() -> None:
    started = asyncio.Event()
    runs = []

    async def body(job: str) -> None:
        runs.append(job)
        started.set()
        if len(runs) == 1:
            await asyncio.Event().wait()

    task = task_of(body, "a")
    async with Pipeline([task]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        await started.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert not await task.links["done"].repo.contains("a")
        assert not task.running
        await pipeline.run(poll=FAR)
    assert runs == ["a", "a"]


async def test_a_body_that_fails_on_cancellation_leaves_no_record() -> None:
    started = asyncio.Event()

    async def body(job: str) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ConnectionError("the clean-up of an interrupted body failed")

    task = task_of(body, "a")
    async with Pipeline([task]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        await started.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert not await task.links["done"].repo.contains("a")
        assert not task.running


def test_an_abandoned_loop_records_nothing() -> None:
    async def body(job: str) -> None:
        await asyncio.Event().wait()

    task = task_of(body, "a")
    loop = asyncio.new_event_loop()
    launch = task.launch("a")
    running = loop.create_task(launch)
    for _ in range(3):
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert task.running == {"a"}
    loop.close()
    del running, launch, loop
    gc.collect()

    assert not asyncio.run(task.links["done"].repo.contains("a"))


# -- one asyncio task and one context per job ------------------------------------------------------

customer: contextvars.ContextVar[str] = contextvars.ContextVar("customer")


@pytest.mark.parametrize("concurrency", [1, 15])
async def test_context_variables_are_not_shared_between_jobs(concurrency: int) -> None:
    seen: list[str] = []

    async def body(job: str) -> None:
        seen.append(customer.get("the driver's"))
        customer.set(job)
        await asyncio.sleep(0)

    token = customer.set("the caller's")
    task = task_of(body, "a", "b", "c", concurrency=concurrency)
    await record_of(task)
    customer.reset(token)

    assert seen == ["the caller's"] * 3


async def test_each_job_has_an_asyncio_task_named_after_it() -> None:
    tasks: dict[str, int] = {}

    async def body(job: str) -> None:
        current = asyncio.current_task()
        assert current is not None
        assert current.get_name() == job
        tasks[job] = id(current)

    names = [f"j{i}" for i in range(6)]
    await record_of(task_of(body, *names, concurrency=1))

    assert len(set(tasks.values())) == len(names)


async def test_a_cancellation_after_the_end_of_the_body_has_no_effect() -> None:
    late: list[asyncio.Task[Any]] = []
    cancelled: list[bool] = []

    async def body(job: str) -> None:
        if job == "a":
            current = asyncio.current_task()
            assert current is not None
            late.append(current)
            return
        cancelled.append(late[0].cancel())
        await asyncio.sleep(0)

    task = task_of(body, "a", "b", concurrency=1)

    assert (await record_of(task, "b"))["success"] is True
    assert cancelled == [False]


@pytest.mark.parametrize("waits", [True, False])
async def test_a_body_that_cancels_itself_is_recorded_once(waits: bool) -> None:
    runs: list[str] = []

    async def body(job: str) -> None:
        runs.append(job)
        current = asyncio.current_task()
        assert current is not None
        if job == "a":
            current.cancel()
        if waits:
            await asyncio.sleep(0)

    task = task_of(body, "a", "b", concurrency=1)
    record = await record_of(task)

    assert sorted(runs) == ["a", "b"]
    assert record["exception"] == "CancelledError: CancelledError"
    assert (await task.links["done"].repo.info("b"))["success"] is True


class Grouping(InProcessMetadataRepository):
    """A third-party store whose TaskGroup fails once and leaves the cancel count raised."""

    failures = 1

    async def dump(self, job: str, data: Any) -> None:
        if self.failures:
            self.failures -= 1

            async def fail() -> None:
                raise OSError(28, "No space left on device")

            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
        await super().dump(job, data)


async def test_a_cancel_count_that_a_store_left_raised_is_not_a_cancellation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outcomes, "_FIRST_RETRY_DELAY_SECONDS", 0.001)

    async def body(job: str) -> None:
        if job != "a":
            raise asyncio.CancelledError("inside")

    task = InProcessSyncTask("t", Grouping(), func=body, concurrency=1)
    task.link("source", InProcessMetadataRepository(dict.fromkeys("ab")), is_input=True)
    async with Pipeline([task]) as pipeline:
        summary = await pipeline.run(poll=FAR)

    assert summary.failed == {"t": ["b"]}
    assert summary.launched == {"t": 2}


# -- failing stores --------------------------------------------------------------------------------


class Failing(InProcessMetadataRepository):
    """A repository that fails to store the values of some jobs a given number of times."""

    def __init__(self, **refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    async def dump(self, job: str, data: Any) -> None:
        if self.refusals.get(job):
            self.refusals[job] -= 1
            raise OSError(28, "No space left on device")
        await super().dump(job, data)


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "_FIRST_RETRY_DELAY_SECONDS", 0.001)


@pytest.mark.usefixtures("quickly")
async def test_an_outcome_that_could_not_be_stored_is_retried_without_polling() -> None:
    ran = []

    async def body(job: str) -> None:
        ran.append(job)

    done = Failing(a=3)
    task = InProcessSyncTask("t", done, func=body)
    task.link("source", InProcessMetadataRepository({"a": 1}), is_input=True)
    async with Pipeline([task]) as pipeline:
        await pipeline.run(poll=FAR)

    assert ran == ["a"]
    assert (await done.info("a"))["success"] is True


@pytest.mark.usefixtures("quickly")
async def test_a_record_that_is_always_rejected_does_not_block_other_records() -> None:
    ran: list[str] = []
    stored = asyncio.Event()

    async def body(job: str) -> None:
        ran.append(job)

    class Watched(Failing):
        async def dump(self, job: str, data: Any) -> None:
            await super().dump(job, data)
            if len(self.data) == 2:
                stored.set()

    done = Watched(a=sys.maxsize, b=1, c=1)
    task = InProcessSyncTask("t", done, func=body)
    task.link("source", InProcessMetadataRepository(dict.fromkeys("abc")), is_input=True)
    async with Pipeline([task]) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=FAR))
        await stored.wait()
        assert task.running == {"a"}
        assert await pipeline.gather_ready_jobs(task) == set()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    assert sorted(ran) == ["a", "b", "c"]


@pytest.mark.usefixtures("quickly")
async def test_a_failing_store_is_logged_once_and_not_for_each_job(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def body(job: str) -> None: ...

    names = [f"j{number}" for number in range(20)]
    done = Failing(**dict.fromkeys(names, 1))
    task = InProcessSyncTask("t", done, func=body, concurrency=None)
    task.link("source", InProcessMetadataRepository(dict.fromkeys(names)), is_input=True)
    async with Pipeline([task]) as pipeline:
        await pipeline.run(poll=FAR)

    assert len(done.data) == 20
    assert sum("could not be recorded" in record.getMessage() for record in caplog.records) == 1


async def test_without_metadata_nothing_is_recorded_but_failures_are_still_logged() -> None:
    told = []

    async def body(job: str) -> None:
        raise ValueError

    task = task_of(body, "a")
    async with Pipeline([task], on_failure=lambda *args: told.append(args)) as pipeline:
        pipeline.settings(metadata=False)
        summary = await pipeline.run(poll=FAR)

    assert not await task.links["done"].repo.contains("a")
    assert summary.failed == {"t": ["a"]}
    assert [(name, job) for name, job, _ in told] == [("t", "a")]
