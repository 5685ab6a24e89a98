"""An API server that is overloaded, disconnects or loses its history, and a driver that dies."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import StoreConnectionError, StoreError, StorePermissionError
from pydatatask_core.pipeline import Pipeline
from pydatatask_core.repository import InProcessMetadataRepository
from pydatatask_core.resource_manager import Resources
from pydatatask_core.task import InProcessSyncTask
from pydatatask_kube import PodManager, PodManagerError
from pydatatask_kube.cluster.pod_api import PAGE_SIZE

from .driven_task import Driven, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .api_server import ApiServer

JOBS = [f"job{i:02}" for i in range(40)]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the delay between attempts."""
    monkeypatch.setattr("pydatatask_kube.cluster.client._INITIAL_BACKOFF_SECONDS", 0.005)
    monkeypatch.setattr("pydatatask_kube.cluster.informer._INITIAL_BACKOFF_SECONDS", 0.005)
    monkeypatch.setattr("pydatatask_kube.cluster.informer._MAX_BACKOFF_SECONDS", 0.05)


async def _live_and_end(server: ApiServer, stop: asyncio.Event) -> None:
    """Start and end pods one after the other, like a kubelet."""
    while not stop.is_set():
        for pod in list(server.pods.values()):
            if pod["status"]["phase"] == "Pending":
                server.run(pod)
            elif pod["status"]["phase"] == "Running":
                server.finish(pod)
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.002)


def _check(driven: Driven) -> None:
    assert driven.done.data.keys() == set(JOBS)
    assert all(record["success"] for record in driven.done.data.values())
    assert driven.server.created == dict.fromkeys(JOBS, 1)
    assert driven.logs.data == {job: f"{job}\n".encode() for job in JOBS}
    assert not driven.server.pods


def _overload(server: ApiServer, chance: random.Random) -> None:
    def refuse(what: str) -> int | None:
        return chance.choice([429, 500, 503]) if chance.random() < 0.3 else None

    server.refuse = refuse


def _break_off(server: ApiServer, chance: random.Random) -> None:
    server.lose = lambda what: what != "watch" and chance.random() < 0.2


def _cut_watches(server: ApiServer, chance: random.Random) -> None:
    _every(server, chance, server.cut_watches)


def _forget(server: ApiServer, chance: random.Random) -> None:
    def forget() -> None:
        server.forget_history()
        server.expire_pages()
        server.cut_watches()

    _every(server, chance, forget)


def _every(server: ApiServer, chance: random.Random, what: Callable[[], None]) -> None:
    def lose(kind: str) -> bool:
        if chance.random() < 0.2:
            what()
        return False

    server.lose = lose


@pytest.mark.parametrize("trouble", [_overload, _break_off, _cut_watches, _forget])
async def test_all_jobs_are_done_despite_faults_and_no_pod_is_created_twice(
    server: ApiServer, trouble: Callable[[ApiServer, random.Random], None]
) -> None:
    driven, stop = Driven(server, *JOBS, quota=Resources.parse(1, "1Ti")), asyncio.Event()
    life = asyncio.create_task(_live_and_end(server, stop))
    async with driven.running() as run:
        await until(lambda: driven.podman.informer.synced)
        trouble(server, random.Random(7))
        await asyncio.wait_for(run, 50)
        server.refuse, server.lose = (lambda what: None), (lambda what: False)
        await until(lambda: not server.pods)
    stop.set()
    await life
    _check(driven)
    assert server.most_at_once <= 10


async def test_killing_the_driver_at_any_time_loses_and_repeats_nothing(server: ApiServer) -> None:
    chance, stop = random.Random(11), asyncio.Event()
    driven = Driven(server, *JOBS, quota=Resources.parse(1, "1Ti"))
    life = asyncio.create_task(_live_and_end(server, stop))
    for _ in range(15):
        driven = _successor(driven)
        async with driven.running():
            await _requests(driven, chance.randrange(40))
            # Cancelled without waiting, as if the process were killed.
            for task in asyncio.all_tasks():
                if task.get_name().startswith("pydatatask"):
                    task.cancel()
    driven = _successor(driven)
    async with driven.running() as run:
        await asyncio.wait_for(run, 50)
    stop.set()
    await life
    _check(driven)


def _successor(driven: Driven) -> Driven:
    """Return another driver with the same repositories."""
    successor = Driven(driven.server, *JOBS, quota=Resources.parse(1, "1Ti"))
    successor.done.data.update(driven.done.data)
    successor.logs.data.update(driven.logs.data)
    return successor


async def _requests(driven: Driven, number: int) -> None:
    """Wait for a number of requests, or for the end of all jobs."""
    counts, done = driven.server.counts, driven.done.data
    enough = counts.total() + number
    await until(lambda: counts.total() >= enough or len(done) == len(JOBS))


async def test_pods_that_ended_without_a_driver_are_found_and_recorded(server: ApiServer) -> None:
    driven = Driven(server, "a", "b", "c", "d")
    async with driven.open() as pipeline:
        await pipeline.update()
        assert len(server.pods) == 4
    server.finish(server.of("a"))
    server.finish(server.of("b"), code=2)
    server.remove(server.of("c"))
    async with driven.open() as pipeline:
        await until(lambda: len(driven.done.data) == 2)
        assert driven.record("b")["return_code"] == 2
        await pipeline.update()
        assert server.created == {"a": 1, "b": 1, "c": 2, "d": 1}


async def test_a_recorded_outcome_is_not_recorded_again(server: ApiServer) -> None:
    driven = Driven(server, "job")
    async with driven.open():
        await driven.task.launch("job")
        server.refuse = lambda what: 403 if what == "delete" else None
        server.finish(server.of("job"))
        await until(lambda: driven.record("job"))
    server.refuse = lambda what: None
    driven.done.data["job"]["mark"] = True
    async with driven.open():
        await until(lambda: not server.pods)
    assert driven.record("job")["mark"] is True
    assert server.counts["log"] == 1


async def test_a_pod_deleted_between_two_watches_is_detected_at_once(
    server: ApiServer,
) -> None:
    driven = Driven(server, "job")
    async with driven.open():
        await driven.task.launch("job")
        server.run(server.of("job"))
        await until(lambda: driven.podman.informer.jobs("task"))
        server.pods.clear()
        server.forget_history()
        server.cut_watches()
        await until(lambda: driven.record("job"))
    assert driven.record("job")["deleted"] is True


async def test_expired_credentials_are_reloaded(server: ApiServer) -> None:
    driven = Driven(server, "a", "b")
    server.token = "first"
    async with driven.open():
        await driven.task.launch("a")
        server.token = "second"
        await driven.task.launch("b")
        server.finish(server.of("a"))
        server.finish(server.of("b"))
        await until(lambda: not server.pods)


async def test_rejected_credentials_are_an_error_when_the_pipeline_opens(
    server: ApiServer,
) -> None:
    driven = Driven(server, "a")
    server.token = "right"
    driven.podman = PodManager("app", "testing", config=_configuration(server, "wrong-secret"))
    with pytest.raises(PodManagerError, match="does not accept the credentials") as caught:
        await driven.pipeline.open()
    assert "wrong-secret" not in str(caught.value)
    await driven.podman.close()


def _configuration(server: ApiServer, token: str) -> Callable[[], Any]:
    def config() -> Any:
        configuration = server.configuration()
        configuration.api_key = {"BearerToken": f"Bearer {token}"}
        return configuration

    return config


async def test_an_unreachable_server_is_an_error_with_its_address(server: ApiServer) -> None:
    driven = Driven(server, "a")
    server.url = "http://127.0.0.1:9"
    driven.podman = server.manager()
    with pytest.raises(PodManagerError, match=r"namespace 'testing' at http://127.0.0.1:9: "):
        await driven.pipeline.open()
    await driven.podman.close()
    driven.podman = server.manager()
    with pytest.raises(StoreConnectionError, match="could not list pods in LiveKubeRepository"):
        await driven.task.live.keys()
    await driven.podman.close()


async def test_a_missing_configuration_is_an_error_with_its_path_and_is_not_retried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pydatatask_kube.cluster.client._INITIAL_BACKOFF_SECONDS", 1e6)
    file = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", str(file))
    podman = PodManager("app", "testing")
    with pytest.raises(PodManagerError, match=f"no kubectl configuration at '{file}'"):
        await podman.query()
    await podman.close()
    assert not caplog.records


@pytest.mark.parametrize(("status", "kind"), [(403, StorePermissionError), (400, StoreError)])
async def test_a_refusal_is_never_treated_as_an_empty_listing(
    server: ApiServer, status: int, kind: type[StoreError]
) -> None:
    driven = Driven(server)
    async with driven.open(mode="inspect"):
        server.refuse = lambda what: status
        with pytest.raises(kind):
            await driven.task.live.keys()
        with pytest.raises(kind):
            await driven.task.live.contains("job")
        with pytest.raises(kind):
            await driven.task.live.delete("job")


async def test_a_server_that_never_responds_does_not_hang_anything(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pydatatask_kube.cluster.client.MAX_ATTEMPTS", 2)
    silent: list[asyncio.StreamWriter] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent.append(writer)
        await reader.read()

    peer = await asyncio.start_server(listen, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{peer.sockets[0].getsockname()[1]}"
    podman = server.manager()
    podman.client.read_timeout = 0.1
    with pytest.raises(PodManagerError, match=r"imeout|in time"):
        await podman.find()
    await podman.close()
    for writer in silent:
        writer.close()
    peer.close()
    await peer.wait_closed()


async def test_the_next_task_is_started_after_a_terminating_pod_is_deleted(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven, rounds, held = Driven(server, "job"), 0, list[Any]()
    tell, update = server._notify_watches, driven.task.update

    def hold_back(kind: str, pod: Any) -> None:
        if kind == "DELETED":
            held.append(pod)
        else:
            tell(kind, pod)

    async def count() -> bool:
        nonlocal rounds
        rounds += bool(held)
        return await update()

    monkeypatch.setattr(server, "_notify_watches", hold_back)
    monkeypatch.setattr(driven.task, "update", count)

    @InProcessSyncTask("after", InProcessMetadataRepository())
    async def after(job: str) -> None: ...

    after.plug(driven.task)
    driven.pipeline = Pipeline([driven.task, after])
    server.on_create = server.finish
    async with driven.running() as run:
        await until(lambda: rounds > 3 or run.done())
        assert not run.done()
        tell("DELETED", held[0])
        summary = await asyncio.wait_for(run, 30)
    assert summary.launched == {"task": 1, "after": 1}


async def test_requests_are_few(server: ApiServer) -> None:
    number = 1_000
    driven = Driven(server, *(f"job{i}" for i in range(number)))
    async with driven.open() as pipeline:
        while len(server.pods) < number:
            await pipeline.update()
    async with driven.open() as pipeline:
        for pod in list(server.pods.values()):
            server.finish(pod)
        await until(lambda: not server.pods)
        await pipeline.update()
        pages = 1 + number // PAGE_SIZE  # one of the empty listing, and those of all pods
        once = Counter(create=number, log=number, delete=number)
        assert server.counts == Counter(list=pages, watch=2) + once
        assert set(server.created.values()) == {1}
        for _ in range(20):
            await pipeline.update()
            await driven.task.live.keys()
            await driven.podman.query()
        assert server.counts == Counter(list=pages, watch=2) + once


async def test_a_failing_watch_is_reported_once(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    driven = Driven(server, "job")
    async with driven.open():
        server.refuse = lambda what: 503 if what == "watch" else None
        server.cut_watches()
        before = server.counts["watch"]
        await until(lambda: server.counts["watch"] > before + 5)
        server.refuse = lambda what: None
        await until(lambda: "are watched again" in caplog.text)
    assert caplog.text.count("cannot be watched; trying again") == 1
