"""Events in an unusual order, or malformed ones, which must not lose a job."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import LaunchRefusedError, SessionError
from pydatatask_core.repository import InProcessMetadataRepository
from pydatatask_core.task.retries import Retries
from pydatatask_kube import PodManager, PodManagerError
from pydatatask_kube.cluster.informer import PodInformer

from .driven_task import Driven, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .api_server import ApiServer


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the delay between attempts."""
    monkeypatch.setattr("pydatatask_kube.cluster.client._INITIAL_BACKOFF_SECONDS", 0.005)
    monkeypatch.setattr("pydatatask_kube.cluster.informer._INITIAL_BACKOFF_SECONDS", 0.005)
    monkeypatch.setattr("pydatatask_kube.cluster.informer._MAX_BACKOFF_SECONDS", 0.05)


def _delay_answers(driven: Driven, pods: list[dict[str, Any]]) -> asyncio.Event:
    """Delay the responses to creations, which then have their old content."""
    create, arrive = driven.podman.create, asyncio.Event()

    async def late(manifest: dict[str, Any]) -> dict[str, Any]:
        pods.append(copy.deepcopy(await create(manifest)))
        await arrive.wait()
        return pods[-1]

    driven.podman.create = late  # type: ignore[method-assign]
    return arrive


def _seen(driven: Driven) -> str | None:
    """Return the last known phase of the pod, or "deleted" if it is terminating."""
    for pod in driven.podman.informer.pods("task"):
        deleted = "deletionTimestamp" in pod["metadata"]
        return "deleted" if deleted else str(pod["status"]["phase"])
    return None


@pytest.mark.parametrize("gone", [False, True])
async def test_the_state_from_the_watch_has_precedence_over_an_older_response(
    server: ApiServer, gone: bool
) -> None:
    driven, made = Driven(server, "job"), list[dict[str, Any]]()
    arrive = _delay_answers(driven, made)
    async with driven.open():
        launch = asyncio.create_task(driven.task.launch("job"))
        await until(lambda: made)
        server.finish(server.of("job"))
        await until(lambda: _seen(driven) == "Succeeded")
        if gone:
            server.remove(server.of("job"))
            await until(lambda: not driven.podman.informer.pods("task"))
        arrive.set()
        await launch
        await until(lambda: driven.record("job"))
        await until(lambda: not driven.task.running)
    assert driven.record("job")["success"] is True


async def test_a_pod_that_ended_before_its_creation_was_aborted_is_tracked(
    server: ApiServer,
) -> None:
    driven = Driven(server, "job")
    create = driven.podman.create

    async def give_up(manifest: dict[str, Any]) -> dict[str, Any]:
        await create(manifest)
        server.finish(server.of("job"))
        await until(lambda: _seen(driven) == "Succeeded")
        raise PodManagerError("create pod", "testing", "no answer in time")

    driven.podman.create = give_up  # type: ignore[method-assign]
    async with driven.open():
        with pytest.raises(PodManagerError, match="no answer in time"):
            await driven.task.launch("job")
        await until(lambda: driven.record("job"))
        await until(lambda: not server.pods)


async def test_a_kill_waits_for_the_current_pod_although_an_earlier_one_was_deleted(
    server: ApiServer,
) -> None:
    driven = Driven(server, "job")
    create, first = driven.podman.create, list[str]()

    async def after_another(manifest: dict[str, Any]) -> dict[str, Any]:
        pod = await create(manifest)
        if not first:
            first.append(pod["metadata"]["uid"])
            await until(lambda: driven.podman.informer.pods("task"))
            server.remove(server.of("job"))
            await until(lambda: not driven.podman.informer.pods("task"))
            pod = await create(manifest)
        return pod

    driven.podman.create = after_another  # type: ignore[method-assign]
    async with driven.open():
        await driven.task.launch("job")
        server.run(server.of("job"))
        await until(lambda: _seen(driven) == "Running")
        kill = asyncio.create_task(driven.task.kill("job"))
        await until(lambda: server.of("job")["metadata"].get("deletionTimestamp"))
        await until(lambda: _seen(driven) == "deleted")
        assert driven.task.running == {"job"}
        server.remove(server.of("job"))
        await kill
    assert driven.record("job")["killed"] is True


async def test_logs_that_were_read_are_kept_although_the_pod_is_deleted_early(
    server: ApiServer,
) -> None:
    driven = Driven(server, "job")
    server.lose = lambda what: what == "delete"
    async with driven.open():
        await driven.task.launch("job")
        server.finish(server.of("job"))
        await until(lambda: not driven.task.running)
    assert driven.logs.data["job"] == b"job\n"
    assert "logs_problem" not in driven.record("job")


@pytest.mark.parametrize("line", [b'{"type": "MODIFIED", "obj', b"<html>", b"[]", b'"text"'])
async def test_a_watch_that_sends_malformed_events_is_restarted(
    server: ApiServer, line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven = Driven(server, "job")
    events, messages = driven.podman.events, list[bytes]()

    async def nonsense(version: str, seconds: int, read_timeout: float) -> AsyncIterator[bytes]:
        if not messages:
            messages.append(line)
            yield line
            return
        async for event in events(version, seconds, read_timeout):
            yield event

    monkeypatch.setattr(driven.podman, "events", nonsense)
    async with driven.open():
        await until(lambda: messages)
        await driven.task.launch("job")
        server.finish(server.of("job"))
        await until(lambda: driven.record("job"))


async def test_a_configuration_that_fails_is_an_error_and_nothing_hangs(
    server: ApiServer,
) -> None:
    def config() -> Any:
        raise RuntimeError("the vault is sealed")

    driven = Driven(server, "job")
    driven.podman = PodManager("app", "testing", config=config)
    with pytest.raises(PodManagerError, match="the vault is sealed"):
        await asyncio.wait_for(driven.pipeline.open(), 20)
    await driven.podman.close()


class _Silent:
    where = "nowhere"

    async def pages(self) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield

    async def events(self, *_: Any) -> AsyncIterator[Any]:
        yield


async def test_waiting_for_a_watch_that_ends_is_an_error() -> None:
    listener: Any = object()
    source: Any = _Silent()
    informer = PodInformer(source)
    informer.subscribe("task", listener)
    waiting = asyncio.create_task(informer.wait_synced())
    await asyncio.sleep(0)
    informer.unsubscribe("task", listener)
    with pytest.raises(SessionError):
        await asyncio.wait_for(waiting, 20)
    await informer.close()


async def test_a_pod_that_is_deleted_while_it_is_launched_releases_its_quota(
    server: ApiServer,
) -> None:
    driven = Driven(server, "job")
    async with driven.open():
        create, created = driven.podman.create, asyncio.Event()

        async def create_slowly(manifest: dict[str, Any]) -> dict[str, Any]:
            pod = await create(manifest)
            await created.wait()
            return pod

        driven.podman.create = create_slowly  # type: ignore[method-assign]
        launch = asyncio.create_task(driven.task.launch("job"))
        await until(lambda: driven.podman.informer.pods("task"))
        [pod] = await driven.task.live.pods()
        launched, waits = driven.task._tracker.jobs["job"].launched, asyncio.Event()
        wait = launched.wait

        async def note_and_wait() -> Any:
            waits.set()
            return await wait()

        launched.wait = note_and_wait  # type: ignore[method-assign]
        delete = asyncio.create_task(driven.task.delete(pod))
        waiting = asyncio.create_task(waits.wait())
        await asyncio.wait({delete, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        created.set()
        await launch
        await asyncio.wait_for(delete, 20)
        assert not driven.task.running
        usage = driven.quota.usage()
        assert usage is not None
        assert not usage.cpu
    assert driven.record("job") is None


class FailingOnce(InProcessMetadataRepository):
    failed = False

    async def dump(self, job: str, data: Any, /) -> None:
        if not self.failed:
            self.failed = True
            raise OSError("out of order")
        await super().dump(job, data)


@pytest.mark.parametrize("name_is_free", [True, False])
async def test_a_kill_of_a_waiting_job_is_recorded_although_the_store_fails_at_first(
    server: ApiServer, name_is_free: bool
) -> None:
    driven = Driven(server, "job", done=(done := FailingOnce()), retries=Retries(2, delay=60))

    def fail(pod: Any) -> None:
        server.finish(pod, code=1)
        if not name_is_free:
            server.hold(pod)

    server.on_create = fail
    async with driven.open():
        await driven.task.launch("job")
        tracked = driven.task._tracker.jobs["job"]
        await until(lambda: tracked.awaits_retry and not tracked.recording)
        assert await asyncio.wait_for(driven.task.kill("job"), 30)
        assert done.failed
        assert not driven.task.running
    assert (done.data["job"]["killed"], done.data["job"]["attempt"]) == (True, 1)
    assert server.created["job"] == 1


class Gated(InProcessMetadataRepository):
    def __init__(self) -> None:
        super().__init__()
        self.asked, self.gate = asyncio.Event(), asyncio.Event()

    async def dump(self, job: str, data: Any, /) -> None:
        self.asked.set()
        await self.gate.wait()
        await super().dump(job, data)


async def test_a_job_that_is_killed_just_before_its_retry_is_not_retried(
    server: ApiServer,
) -> None:
    driven = Driven(server, "job", retries=Retries(2, delay=0.0))
    server.on_create = lambda pod: server.finish(pod, code=1)
    server.refuse = lambda what: 403 if what == "delete" else None
    async with driven.open():
        await driven.task.launch("job")
        await until(lambda: server.counts["delete"])
        kill = asyncio.create_task(driven.task.kill("job"))
        await asyncio.sleep(0)
        server.refuse = lambda what: None
        assert await asyncio.wait_for(kill, 20)
        assert not driven.task.running
    assert driven.record("job")["killed"] is True


async def test_a_job_that_is_deleted_while_its_outcome_is_recorded_is_counted_once(
    server: ApiServer,
) -> None:
    driven = Driven(server, "job", done=(done := Gated()))
    async with driven.open():
        await driven.task.launch("job")
        server.finish(server.of("job"))
        await done.asked.wait()
        await driven.task.live.delete("job")
        done.gate.set()
        await driven.task._tracker.wait_recorded()
        assert driven.task._tracker.pending_records == 0


async def test_a_job_that_waits_for_a_retry_can_be_deleted_and_is_forgotten(
    server: ApiServer,
) -> None:
    driven = Driven(server, "job", retries=Retries(2, delay=60))
    server.on_create = lambda pod: server.finish(pod, code=1)
    async with driven.open():
        await driven.task.launch("job")
        await until(lambda: driven.task.waiting == {"job"})
        await asyncio.wait_for(driven.task.live.delete("job"), 5)
        assert not driven.task.running
        assert not driven.task.waiting
    assert driven.record("job") is None


async def test_a_job_whose_retry_is_refused_can_be_killed_without_it(server: ApiServer) -> None:
    driven = Driven(server, "job", retries=Retries(2, delay=60))
    server.on_create = lambda pod: server.finish(pod, code=1)
    refused = asyncio.Event()

    async def refuse(tracked: Any, tracker: Any) -> None:
        await refused.wait()
        raise LaunchRefusedError("task", tracked.job, "cpu")

    async with driven.open():
        await driven.task.launch("job")
        await until(lambda: driven.task.waiting == {"job"})
        driven.task._launcher.launch = refuse  # type: ignore[method-assign]
        launch = asyncio.create_task(driven.task.launch("job"))
        await until(lambda: not driven.task.waiting)
        kill = asyncio.create_task(driven.task.kill("job"))
        await asyncio.sleep(0)
        refused.set()
        with pytest.raises(LaunchRefusedError):
            await launch
        assert await asyncio.wait_for(kill, 5)
    assert driven.record("job")["killed"] is True
    assert server.created == {"job": 1}
