"""What is left of a job whose end is recorded, and a pod that does not go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .driving import Driven, until

if TYPE_CHECKING:
    from .api_server import ApiServer


async def _die_before_the_pod_is_deleted(server: ApiServer, *jobs: str) -> Driven:
    """Have a driver record the ends of jobs and no more."""
    driven = Driven(server, *jobs)
    server.refuse = lambda what: 403 if what == "delete" else None
    server.on_create = server.finish
    async with driven.open():
        for job in jobs:
            await driven.task.launch(job)
        await until(lambda: driven.done.data.keys() == set(jobs))
    server.refuse = lambda what: None
    assert len(server.pods) == len(jobs)
    return driven


async def test_the_next_driver_deletes_the_pod_and_records_nothing(server: ApiServer) -> None:
    driven = await _die_before_the_pod_is_deleted(server, "job")
    driven.done.data["job"]["mark"] = True
    summary = await driven.run()
    assert not server.pods
    assert driven.record("job")["mark"] is True
    assert summary.launched == {}
    assert server.counts["log"] == 1


async def test_pods_of_which_all_is_recorded_can_be_swept_before_the_records_are_deleted(
    server: ApiServer,
) -> None:
    driven = await _die_before_the_pod_is_deleted(server, "job", "other", "replaced")
    server.add("task", "runs")
    driven.done.data["replaced"]["uid"] = "that of an earlier pod"
    async with driven.open(mode="inspect"):
        await driven.task.sweep({"job", "runs", "replaced"})
        assert await driven.task.live.keys() == {"other", "runs", "replaced"}
    del driven.done.data["job"], driven.logs.data["job"]
    created = server.created["job"]
    async with driven.running():
        await until(lambda: driven.record("job"))
    assert server.created["job"] == created + 1


async def test_without_records_nothing_is_swept(server: ApiServer) -> None:
    driven = Driven(server, done=None)
    server.finish(server.add("task", "job"))
    async with driven.open(mode="inspect"):
        await driven.task.sweep({"job"})
    assert server.pods


async def test_the_end_of_a_pod_is_recorded_anew_if_its_record_vanished(server: ApiServer) -> None:
    # Nothing tells it from the end of a pod that was never recorded, and that must not be lost.
    driven = await _die_before_the_pod_is_deleted(server, "job")
    driven.done.data.clear()
    driven.logs.data.clear()
    summary = await driven.run()
    assert driven.record("job")["success"] is True
    assert summary.launched == {}
    assert not server.pods
    assert server.created == {"job": 1}
