"""Reading of the logs of an existing pod."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from pydatatask_kube import PodManagerError

from .driven_task import TEMPLATE, Driven, until
from .pod_json import now

if TYPE_CHECKING:
    from .api_server import ApiServer
    from .pod_json import Pod

SEVERAL = TEMPLATE.replace(
    "  containers:\n",
    "  initContainers: [{name: init, image: i}]\n  containers:\n    - {name: side, image: s}\n",
)


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the poll interval for followed pods."""
    monkeypatch.setattr("pydatatask_kube.jobs.log_reader.POLL_INTERVAL_SECONDS", 0.01)


class Reading:
    """A reader of the logs of a job."""

    def __init__(self, driven: Driven, *, follow: bool) -> None:
        self.text = b""
        self._source = driven.task.stream_logs("job", follow=follow)
        self.over = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async with aclosing(self._source) as blocks:
            async for block in blocks:
                self.text += block


async def _read(driven: Driven) -> bytes:
    reading = Reading(driven, follow=False)
    await asyncio.wait_for(reading.over, 20)
    return reading.text


def _running(server: ApiServer, text: bytes) -> Pod:
    pod = server.add("task", "job")
    server.run(pod)
    server.write(pod, text)
    return pod


def _is_known_to_run(driven: Driven) -> bool:
    return any(pod["status"]["phase"] == "Running" for pod in driven.podman.informer.pods("task"))


async def test_the_log_of_a_running_pod_can_be_read_without_driving(
    server: ApiServer,
) -> None:
    driven = Driven(server)
    _running(server, b"until now\n")
    async with driven.open(mode="inspect"):
        assert await _read(driven) == b"until now\n"
    assert (server.counts["watch"], server.counts["log"]) == (0, 1)


async def test_the_driver_of_the_task_can_read_the_log_too(server: ApiServer) -> None:
    driven = Driven(server, "job")
    async with driven.open():
        await driven.task.launch("job")
        server.run(server.of("job"))
        server.write(server.of("job"), b"until now\n")
        await until(lambda: _is_known_to_run(driven))
        assert await _read(driven) == b"until now\n"


async def test_a_pod_that_has_not_started_or_is_deleted_has_no_log(server: ApiServer) -> None:
    driven = Driven(server)
    async with driven.open(mode="inspect"):
        assert await _read(driven) == b""
        server.add("task", "job")
        assert await _read(driven) == b""
    assert server.counts["log"] == 0


async def test_a_pod_that_disappears_while_it_is_read_is_not_an_error(server: ApiServer) -> None:
    driven = Driven(server)
    pod = _running(server, b"text")

    def vanish(what: str) -> None:
        if what == "log":
            server.remove(pod)

    server.refuse = vanish
    async with driven.open(mode="inspect"):
        assert await _read(driven) == b""
    assert server.counts["log"] == 1


async def test_a_log_that_cannot_be_read_is_an_error(server: ApiServer) -> None:
    driven = Driven(server)
    _running(server, b"text")
    server.refuse = lambda what: 403 if what == "log" else None
    async with driven.open(mode="inspect"):
        with pytest.raises(PodManagerError, match="read the log of container 'main'"):
            await _read(driven)
        with pytest.raises(PodManagerError, match="read the log of container 'main'"):
            await asyncio.wait_for(Reading(driven, follow=True).over, 20)


async def test_the_log_of_a_pod_is_followed_to_its_end(server: ApiServer) -> None:
    driven = Driven(server)
    pod = server.add("task", "job")
    async with driven.open(mode="inspect"):
        reading = Reading(driven, follow=True)
        await until(lambda: server.counts["get"])
        server.write(pod, b"one\n")
        server.run(pod)
        await until(lambda: reading.text == b"one\n")
        server.write(pod, b"two\n")
        await until(lambda: reading.text == b"one\ntwo\n")
        server.finish(pod, log=b"one\ntwo\nthree")
        await asyncio.wait_for(reading.over, 20)
    assert reading.text == b"one\ntwo\nthree"
    assert server.counts["log"] == 1


async def test_a_followed_pod_may_write_nothing_for_a_long_time(server: ApiServer) -> None:
    driven = Driven(server)
    pod = _running(server, b"one\n")
    async with driven.open(mode="inspect"):
        driven.podman.client.read_timeout = 0.1
        reading = Reading(driven, follow=True)
        await until(lambda: reading.text)
        begun = time.monotonic()
        await until(lambda: time.monotonic() > begun + 0.4)
        server.finish(pod, log=b"one\ntwo\n")
        await asyncio.wait_for(reading.over, 20)
    assert reading.text == b"one\ntwo\n"
    assert server.counts["log"] == 1


async def test_several_containers_are_followed_concurrently_each_under_its_heading(
    server: ApiServer,
) -> None:
    driven = Driven(server, "job", template=SEVERAL)
    async with driven.open():
        await driven.task.launch("job")
        pod = server.of("job")
        running = {"running": {"startedAt": now()}}
        server.write(pod, b"first", "init")
        server.set_status(pod, initContainerStatuses=[{"name": "init", "state": running}])
        reading = Reading(driven, follow=True)
        await until(lambda: reading.text == b"==> init <==\nfirst")
        server.write(pod, b"beside\n", "side")
        server.logs[pod["metadata"]["name"], "main"] = b""
        server.run(pod)
        await until(lambda: reading.text.endswith(b"\n==> side <==\nbeside\n"))
        server.write(pod, b"main\n", "main")
        await until(lambda: reading.text.endswith(b"beside\n==> main <==\nmain\n"))
        assert not reading.over.done()
        server.remove(pod)
        await asyncio.wait_for(reading.over, 20)


async def test_closing_a_follower_leaves_no_task_running(server: ApiServer) -> None:
    driven = Driven(server)
    _running(server, b"x" * (8 << 20))
    before = asyncio.all_tasks()
    async with driven.open(mode="inspect"):
        async with aclosing(driven.task.stream_logs("job", follow=True)) as blocks:
            assert (await anext(blocks)).startswith(b"x")
        assert not [t for t in asyncio.all_tasks() - before if "logs of" in t.get_name()]


async def test_following_stops_if_the_rest_of_a_log_never_arrives(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pydatatask_kube.jobs.log_reader.LOG_TIMEOUT_SECONDS", 0.2)
    driven = Driven(server)
    pod = _running(server, b"text\n")
    async with driven.open(mode="inspect"):
        reading = Reading(driven, follow=True)
        await until(lambda: reading.text == b"text\n")
        pod["status"]["phase"] = "Failed"  # without a notification of the log's reader
        with pytest.raises(PodManagerError, match="the rest of the logs of pod 'other-job'"):
            await asyncio.wait_for(reading.over, 20)


async def test_the_task_names_the_repository_of_its_logs(server: ApiServer) -> None:
    driven = Driven(server, "job")
    assert list(driven.task.log_repositories) == [driven.logs]
    assert not Driven(server, logs=None).task.log_repositories
