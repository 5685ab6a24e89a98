"""An API server that is overloaded, disconnects, loses its history or hangs while pods run."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from services.kubernetes.proxy import Fault, Proxy

import pydatatask

from .pods import Created, Work, pod, until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.kubernetes.fixture import Kubernetes

pytestmark = pytest.mark.timeout(240)

MOST_IN_A_ROW = 2
"""Failures in a row that must have no visible effect; after many more the log is abandoned."""

GONE = 410
CHANGING = ("create", "delete", "patch")
READING = ("get", "list", "log")

OVERLOADED = (Fault(status=429, retry_after=1), Fault(status=500), Fault(status=503))
BROKEN = (Fault(), Fault(acted=True), Fault(acted=True, status=500))
CUT = (Fault(acted=True, lines=0, half=True),)
SILENT = (Fault(silent=True), Fault(acted=True, silent=True))
SILENT_AMID = (Fault(acted=True, lines=0, half=True, silent=True),)
WATCHING = (
    *(Fault(acted=True, lines=3), Fault(acted=True, lines=2, half=True), Fault()),
    *(Fault(status=GONE), Fault(acted=True, lines=4, status=GONE)),
    *(Fault(status=429, retry_after=1), Fault(acted=True, lines=0, status=500)),
)


class Trouble:
    """A source of faults: first each kind of fault once, then a random choice of requests.

    :param faults: the faults for each kind of request.
    :param rate: the probability of a fault.
    :param in_a_row: the maximum number of successive faults of the same request.
    """

    def __init__(
        self, faults: dict[str, Sequence[Fault]], rate: float, in_a_row: int = MOST_IN_A_ROW
    ) -> None:
        self.faults = faults
        self._rate = rate
        self._in_a_row = in_a_row
        self._chances = {kind: random.Random(kind) for kind in faults}
        self._turns: Counter[str] = Counter()
        self._rows: Counter[tuple[str, str]] = Counter()

    def __call__(self, kind: str, path: str) -> Fault | None:
        faults, turn = self.faults.get(kind, ()), self._turns[kind]
        bad = turn < len(faults) or (faults and self._chances[kind].random() < self._rate)
        if not bad or self._rows[kind, path] >= self._in_a_row:
            self._rows[kind, path] = 0
            return None
        self._rows[kind, path] += 1
        self._turns[kind] += 1
        return faults[turn % len(faults)]


def _refusing() -> Trouble:
    changing = dict.fromkeys(CHANGING, (*BROKEN, *OVERLOADED))
    return Trouble({**changing, **dict.fromkeys(READING, (*CUT, *BROKEN, *OVERLOADED))}, 0.35)


def _forgetting() -> Trouble:
    return Trouble({"watch": WATCHING}, 1, in_a_row=1_000)


def _silent() -> Trouble:
    changing = dict.fromkeys(CHANGING, SILENT)
    reading = dict.fromkeys(READING, (*SILENT, *SILENT_AMID))
    watching = (Fault(silent=True), Fault(acted=True, lines=6, silent=True))
    return Trouble({**changing, **reading, "watch": watching}, 0.25)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pydatatask_kube.cluster.client.READ_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr("pydatatask_kube.cluster.informer.READ_TIMEOUT_SECONDS", 2.0)
    monkeypatch.setattr("pydatatask_kube.cluster.informer._MAX_BACKOFF_SECONDS", 0.5)


@pytest.mark.parametrize("make", [_refusing, _forgetting, _silent])
@pytest.mark.usefixtures("_impatient")
async def test_all_jobs_are_done_despite_faults_and_no_pod_is_created_twice(
    kubernetes: Kubernetes, make: Callable[[], Trouble]
) -> None:
    trouble = make()
    script = "echo {0} begins; sleep 0.5; echo {0} ends"
    jobs = {f"job{i}": pod(script.format(i), kubernetes.image) for i in range(32)}
    jobs["killed"] = pod("echo begun; sleep 999", kubernetes.image)
    async with Proxy(await kubernetes.configuration()) as proxy:
        quota = pydatatask.Resources.parse("800m", "1Gi")
        work = Work(kubernetes, jobs, quota=quota, configuration=proxy.configuration)
        proxy.fault = trouble
        async with Created(kubernetes, work.app) as created, work.running() as run:
            await until(lambda: _runs(created, "killed"))
            await _kill(work, "killed")
            summary = await asyncio.wait_for(run, 150)
            proxy.fault = lambda kind, path: None
            await until(lambda: not created.podman.informer.pods())
    assert summary.failed == {"task": ["killed"]}
    assert work.done.data.pop("killed")["killed"] is True
    assert work.logs.data.pop("killed") == b"begun\n"
    _check(work, created)
    assert {kind for kind, _ in proxy.done} == trouble.faults.keys()
    often = {
        (k, f) for k in ("create", "delete", "log", "watch") for f in trouble.faults.get(k, ())
    }
    assert often <= proxy.done.keys(), "frequent requests must have had every kind of fault"
    gone = sum(number for (_, fault), number in proxy.done.items() if fault.status == GONE)
    assert proxy.counts["list"] > gone


def _runs(created: Created, job: str) -> bool:
    pods = created.podman.informer.pods("task", job)
    return bool(pods) and pods[0]["status"]["phase"] == "Running"


async def _kill(work: Work, job: str) -> None:
    """Kill a job from another process, which has no watch."""
    other = Work(work.kubernetes, {}, configuration=work.configuration)
    other.app = work.app
    await other.pipeline.open(mode="one")
    assert await other.task.kill(job)
    await other.pipeline.close()


def _check(work: Work, created: Created) -> None:
    """Check that all jobs but the killed one succeeded once, and that their records are right."""
    assert {job for job, uids in created.uids.items() if len(uids) != 1} == set()
    jobs = created.uids.keys() - {"killed"}
    records = work.done.data
    assert records.keys() == jobs == {f"job{i}" for i in range(32)}
    assert [job for job, record in records.items() if not record["success"]] == []
    assert [job for job in jobs if {records[job]["uid"]} != created.uids[job]] == []
    assert work.logs.data == {f"job{i}": f"{i} begins\n{i} ends\n".encode() for i in range(32)}
