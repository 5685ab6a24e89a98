"""Session: resources that are live exactly while the session is open."""

from __future__ import annotations

import asyncio
import copy
import pickle
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, assert_type

import pytest

from pydatatask_core.errors import SessionError
from pydatatask_core.session import Session

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable


class Record:
    """A session whose resources record their events."""

    def __init__(self) -> None:
        self.session = Session()
        self.events: list[str] = []
        self.tasks: set[asyncio.Task[Any] | None] = set()

    def add(
        self, name: str, opening: BaseException | None = None, closing: BaseException | None = None
    ) -> Callable[[], str]:
        async def manager() -> AsyncGenerator[str, None]:
            self.tasks.add(asyncio.current_task())
            await asyncio.sleep(0)
            if opening is not None:
                raise opening
            self.events.append(f"open {name}")
            yield f"live {name}"
            self.tasks.add(asyncio.current_task())
            await asyncio.sleep(0)
            self.events.append(f"close {name}")
            if closing is not None:
                raise closing

        manager.__name__ = name
        return self.session.resource(manager)


@pytest.fixture
def record() -> Record:
    return Record()


async def test_resources_open_in_order_and_close_in_reverse(record: Record) -> None:
    a, b = record.add("a"), record.add("b")
    async with record.session as session:
        assert session is record.session
        assert session.is_open
        assert (a(), b()) == ("live a", "live b")
    assert record.events == ["open a", "open b", "close b", "close a"]
    assert not session.is_open


async def test_one_internal_task_enters_and_leaves_all_resources(record: Record) -> None:
    record.add("a")
    record.add("b")
    await asyncio.create_task(record.session.open())
    await asyncio.create_task(record.session.close())
    assert len(record.tasks) == 1
    assert asyncio.current_task() not in record.tasks


async def test_cancel_scopes_survive_other_tasks_opening_and_closing() -> None:
    session = Session()

    @session.resource
    async def scope() -> AsyncGenerator[asyncio.TaskGroup, None]:
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            yield group

    await asyncio.create_task(session.open())
    work = scope().create_task(asyncio.sleep(0, "done"))
    await asyncio.create_task(session.close())
    assert work.result() == "done"


async def test_a_resource_can_be_called_by_any_task_of_the_loop(record: Record) -> None:
    a = record.add("a")

    async def child() -> str:
        return a()

    async with record.session:
        assert await asyncio.create_task(child()) == "live a"


async def test_a_resource_can_use_earlier_ones() -> None:
    session = Session()

    @session.resource
    async def a() -> AsyncGenerator[int, None]:
        yield 1

    @session.resource
    async def b() -> AsyncGenerator[int, None]:
        yield a() + 1
        assert a() == 1

    async with session:
        assert_type(b(), int)
        assert b() == 2


async def test_none_is_a_valid_live_object() -> None:
    session = Session()

    @session.resource
    async def nothing() -> AsyncGenerator[None, None]:
        yield None

    async with session:
        value = nothing()
        assert value is None


async def test_two_resources_of_the_same_name_are_independent(record: Record) -> None:
    first, second = record.add("bucket"), record.add("bucket")
    async with record.session:
        assert first is not second
        assert first() == second() == "live bucket"
    assert record.events == ["open bucket"] * 2 + ["close bucket"] * 2


async def test_a_session_can_be_opened_again_with_new_objects() -> None:
    """P5: each opening calls the functions of the resources again."""
    session = Session()

    @session.resource
    async def thing() -> AsyncGenerator[object, None]:
        yield object()

    async with session:
        first = thing()
    async with session:
        assert thing() is not first


def test_a_session_can_be_opened_in_one_loop_after_another(record: Record) -> None:
    async def use() -> str:
        async with record.session:
            return a()

    a = record.add("a")
    assert asyncio.run(use()) == asyncio.run(use()) == "live a"


def test_the_end_of_the_loop_closes_an_open_session(record: Record) -> None:
    a = record.add("a")
    asyncio.run(record.session.open())
    assert record.events == ["open a", "close a"]
    with pytest.raises(SessionError, match="resource 'a' is not open"):
        a()
    asyncio.run(record.session.open())
    assert record.events == ["open a", "close a"] * 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_closed_loop_does_not_keep_the_session_open(record: Record) -> None:
    a = record.add("a")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(record.session.open())
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined] # left on purpose
    loop.close()

    async def use() -> None:
        assert not record.session.is_open
        await record.session.open(only=[])
        with pytest.raises(SessionError, match="opened without it"):
            a()
        await record.session.close()

    asyncio.run(use())


async def test_closing_an_unopened_session_does_nothing(record: Record) -> None:
    record.add("a")
    await record.session.close()
    await record.session.open()
    await record.session.close()
    await record.session.close()
    assert record.events == ["open a", "close a"]


async def test_opening_twice_is_refused_without_effect(record: Record) -> None:
    a = record.add("a")
    async with record.session:
        with pytest.raises(SessionError, match="the session is already open; close it before"):
            await record.session.open()
        assert a() == "live a"


async def test_opening_while_opening_is_refused(record: Record) -> None:
    record.add("a")
    first = asyncio.create_task(record.session.open())
    await asyncio.sleep(0)
    with pytest.raises(SessionError, match="the session is already opening"):
        await record.session.open()
    await first
    await record.session.close()


async def test_concurrent_calls_of_close_both_wait_for_the_end(record: Record) -> None:
    record.add("a")
    await record.session.open()
    await asyncio.gather(record.session.close(), record.session.close())
    assert record.events == ["open a", "close a"]


async def test_registering_while_open_is_refused(record: Record) -> None:
    async with record.session:
        with pytest.raises(SessionError, match="resource 'late' cannot be added while"):
            record.add("late")
    record.add("later")
    async with record.session:
        assert record.events == ["open later"]


async def test_a_failed_opening_closes_the_open_resources_and_names_the_resource(
    record: Record,
) -> None:
    a = record.add("a")
    record.add("b")
    record.add("c", opening=OSError("connection refused"))
    record.add("d")
    with pytest.raises(
        SessionError, match=r"^resource 'c' could not be opened: connection refused$"
    ) as caught:
        await record.session.open()
    assert isinstance(caught.value.__cause__, OSError)
    assert record.events == ["open a", "open b", "close b", "close a"]
    assert not record.session.is_open
    with pytest.raises(SessionError, match="resource 'a' is not open: open its session first"):
        a()


async def test_a_failed_opening_does_not_hide_failures_to_close(record: Record) -> None:
    record.add("a", closing=OSError("a is stuck"))
    record.add("b", opening=OSError("b is down"))
    with pytest.raises(
        SessionError,
        match=r"^resource 'b' could not be opened: b is down; "
        r"then resource 'a' failed to close: a is stuck$",
    ) as caught:
        await record.session.open()
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    causes = [error.__cause__ for error in caught.value.__cause__.exceptions]
    assert [str(cause) for cause in causes] == ["b is down", "a is stuck"]


async def test_a_failed_closing_does_not_keep_the_others_open(record: Record) -> None:
    record.add("a")
    record.add("b", closing=OSError("stuck"))
    record.add("c")
    with pytest.raises(SessionError, match=r"^resource 'b' failed to close: stuck$") as caught:
        async with record.session:
            pass
    assert isinstance(caught.value.__cause__, OSError)
    assert record.events[3:] == ["close c", "close b", "close a"]
    assert not record.session.is_open
    await record.session.close()


async def test_all_failures_to_close_are_reported(record: Record) -> None:
    record.add("a", closing=OSError("first"))
    record.add("b", closing=ValueError("second"))
    with pytest.raises(
        SessionError, match="'b' failed to close: second; resource 'a' failed to close: first"
    ) as caught:
        async with record.session:
            pass
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert [str(error) for error in caught.value.__cause__.exceptions] == ["second", "first"]


async def test_the_error_of_the_block_is_kept_beside_that_of_closing(record: Record) -> None:
    record.add("a", closing=OSError("stuck"))
    with pytest.raises(SessionError) as caught:
        async with record.session:
            raise KeyError("block")
    assert isinstance(caught.value.__context__, KeyError)


@pytest.mark.parametrize("when", ["opening", "closing"])
async def test_a_cancellation_that_escapes_from_a_resource_counts_as_its_failure(
    record: Record, when: str
) -> None:
    record.add("a")
    record.add("b", **{when: asyncio.CancelledError()})
    with pytest.raises(SessionError, match=r"resource 'b' .*: CancelledError"):
        async with record.session:
            pass
    assert record.events[-1] == "close a"


async def test_cancelling_the_opening_closes_the_open_resources(
    record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    record.add("a")

    @record.session.resource
    async def slow() -> AsyncGenerator[None, None]:
        try:
            opening.set()
            await asyncio.Event().wait()
            yield
        finally:
            record.events.append("slow gave up")

    opening = asyncio.Event()
    opener = asyncio.create_task(record.session.open())
    await opening.wait()
    opener.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opener
    assert record.events == ["open a", "slow gave up", "close a"]
    assert not record.session.is_open
    assert not caplog.records


async def test_cancelling_an_opening_before_it_starts_leaves_the_session_closed(
    record: Record,
) -> None:
    a = record.add("a")
    opener = asyncio.create_task(record.session.open())
    await asyncio.sleep(0)
    opener.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opener
    with pytest.raises(SessionError, match="open its session first"):
        a()
    async with record.session:
        assert a() == "live a"


async def test_cancelling_the_closing_interrupts_one_resource_and_closes_the_rest(
    record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    record.add("a")

    @record.session.resource
    async def stuck() -> AsyncGenerator[None, None]:
        yield
        closing.set()
        await asyncio.Event().wait()

    closing = asyncio.Event()
    await record.session.open()
    closer = asyncio.create_task(record.session.close())
    await closing.wait()
    closer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closer
    assert record.events == ["open a", "close a"]
    assert not record.session.is_open
    assert not caplog.records


@pytest.mark.parametrize("when", ["opening", "closing"])
async def test_a_failure_during_a_cancellation_is_logged(
    record: Record, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    record.add("a", closing=OSError("a is stuck"))

    @record.session.resource
    async def stuck() -> AsyncGenerator[None, None]:
        if when == "opening":
            reached.set()
            await asyncio.Event().wait()
        yield
        reached.set()
        await asyncio.Event().wait()

    async def use() -> None:
        async with record.session:
            pass

    reached = asyncio.Event()
    user = asyncio.create_task(use())
    await reached.wait()
    user.cancel()
    with pytest.raises(asyncio.CancelledError):
        await user
    assert [entry.getMessage() for entry in caplog.records] == [
        "pydatatask session: resource 'a' failed to close: a is stuck, after it was cancelled"
    ]


def test_a_failure_at_the_end_of_the_loop_is_logged(
    record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    record.add("a", closing=OSError("a is stuck"))
    asyncio.run(record.session.open())
    assert "resource 'a' failed to close: a is stuck" in caplog.text


def test_an_interrupt_in_a_resource_still_closes_the_others(record: Record) -> None:
    record.add("a")
    record.add("b", closing=KeyboardInterrupt())

    async def use() -> None:
        async with record.session:
            pass

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(use())
    assert record.events == ["open a", "open b", "close b", "close a"]


async def test_a_resource_that_yields_twice_is_named_on_closing(record: Record) -> None:
    record.add("a")

    @record.session.resource
    async def greedy() -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
        finally:
            record.events.append("greedy is torn down")

    await record.session.open()
    with pytest.raises(SessionError, match="'greedy' failed to close: it yields more than once"):
        await record.session.close()
    assert record.events == ["open a", "greedy is torn down", "close a"]


async def test_a_resource_that_never_yields_is_named_on_opening(record: Record) -> None:
    record.add("a")

    @record.session.resource
    async def empty() -> AsyncGenerator[int, None]:
        if record is None:
            yield 1

    with pytest.raises(SessionError, match="'empty' could not be opened: it ended without a yield"):
        await record.session.open()
    assert record.events == ["open a", "close a"]


async def coroutine() -> None: ...


def generator() -> Any:
    yield


def function() -> None: ...


@asynccontextmanager
async def context() -> AsyncGenerator[None, None]:
    yield


async def needy(host: str, port: int = 22) -> AsyncGenerator[str, None]:
    yield f"{host}:{port}"


@pytest.mark.parametrize(
    ("manager", "hint"),
    [
        (coroutine, "'coroutine' should be an async generator .* but is a coroutine function"),
        (generator, "'generator' should be .* but is a synchronous generator function"),
        (function, "'function' should be .* but is not a generator function"),
        (context, "'context' should be .* remove @asynccontextmanager"),
        (needy, "'needy' should be .* but needs 'host': bind them with functools.partial"),
        (needy("here"), "'needy' should be .* but is a running generator"),
        (5, "'int' should be .* but is of type int"),
        (Session().resource(partial(needy, "here")), "is already the resource of a session"),
    ],
)
def test_an_invalid_resource_is_refused_when_it_is_registered(manager: Any, hint: str) -> None:
    with pytest.raises(SessionError, match=hint):
        Session().resource(manager)


class Connector:
    """Sources of resources that are not plain functions."""

    async def connect(self) -> AsyncGenerator[str, None]:
        yield "method"

    async def __call__(self) -> AsyncGenerator[str, None]:
        yield "instance"


async def test_partials_methods_and_callable_objects_can_be_resources() -> None:
    session = Session()
    host = session.resource(partial(needy, "here", port=5))
    method = session.resource(Connector().connect)
    instance = session.resource(Connector())
    async with session:
        assert (host(), method(), instance()) == ("here:5", "method", "instance")
    assert repr(session) == "<Session of needy, connect, Connector, closed>"


@pytest.mark.parametrize("only", [["b"], ["c"], ["c", "b"], []])
async def test_only_the_requested_resources_are_opened(record: Record, only: list[str]) -> None:
    resources = {name: record.add(name) for name in "abc"}
    await record.session.open(only=[resources[name] for name in only])
    assert record.events == [f"open {name}" for name in sorted(only)]
    with pytest.raises(
        SessionError, match=r"'a' is not open: its session was opened without it; name it"
    ):
        resources["a"]()
    await record.session.close()


async def test_resources_used_during_opening_are_opened_as_well(record: Record) -> None:
    a = record.add("a")
    record.add("unused")

    @record.session.resource
    async def b() -> AsyncGenerator[str, None]:
        yield f"b on {a()}"
        record.events.append("close b")

    @record.session.resource
    async def c() -> AsyncGenerator[str, None]:
        yield f"c on {b()} and {a()}"

    await record.session.open(only=[c])
    assert c() == "c on b on live a and live a"
    await record.session.close()
    assert record.events == ["open a", "close b", "close a"]


async def test_a_resource_that_uses_a_later_one_is_reported() -> None:
    session = Session()

    @session.resource
    async def early() -> AsyncGenerator[None, None]:
        late()
        yield

    @session.resource
    async def late() -> AsyncGenerator[None, None]:
        yield

    with pytest.raises(
        SessionError, match=r"'early' could not be opened: resource 'late' is not open: .*register"
    ):
        await session.open()


async def test_a_resource_of_another_session_is_refused(record: Record) -> None:
    record.add("a")
    stranger = Session().resource(Connector())
    with pytest.raises(SessionError, match=r"'Connector'.* is not a resource of this session.*'a'"):
        await record.session.open(only=[stranger])
    with pytest.raises(SessionError, match="is not a resource of this session"):
        await record.session.open(only=[function])
    assert not record.session.is_open


async def test_a_resource_that_raises_a_stored_session_error_is_not_retried(
    record: Record,
) -> None:
    stored = SessionError("none")

    @record.session.resource
    async def a() -> AsyncGenerator[None, None]:
        yield

    @record.session.resource
    async def b() -> AsyncGenerator[None, None]:
        nonlocal stored
        if str(stored) == "none":
            try:
                a()
            except SessionError as error:
                stored = error
        raise stored
        yield

    with pytest.raises(SessionError, match="'b' could not be opened: resource 'a' is not open"):
        await record.session.open(only=[b])


async def test_a_resource_has_the_name_and_docstring_of_its_function(record: Record) -> None:
    async def bucket() -> AsyncGenerator[str, None]:
        """Open the bucket of books."""
        yield "bucket"

    resource: Any = record.session.resource(bucket)
    assert (resource.__name__, resource.__doc__) == ("bucket", "Open the bucket of books.")
    assert repr(resource).endswith("bucket', not open>")
    assert copy.copy(resource) is copy.deepcopy([resource])[0] is resource
    async with record.session:
        assert repr(resource).endswith("bucket', open>")


def test_a_resource_cannot_be_pickled(record: Record) -> None:
    with pytest.raises(TypeError, match="resource 'a' of a session is live in one process"):
        pickle.dumps(record.add("a"))


def test_the_error_of_a_resource_that_is_not_open_can_be_pickled(record: Record) -> None:
    with pytest.raises(SessionError) as caught:
        record.add("a")()
    arrived = pickle.loads(pickle.dumps(caught.value))
    assert type(arrived) is SessionError
    assert str(arrived) == str(caught.value)
