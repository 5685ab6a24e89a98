"""Every way in which a pod can end, from the responses of the API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pydatatask_core.task.detached.recorder import FINAL_FLAGS
from pydatatask_kube.outcome.classifier import (
    IMAGE_TIMEOUT_SECONDS,
    LOST_TIMEOUT_SECONDS,
    Limits,
    classify,
)
from pydatatask_kube.outcome.record import outcome_record
from pydatatask_kube.pod_names import TERMINATION_REASON

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def terminated(code: int, reason: str = "Error", ended: float = 10, **more: Any) -> dict[str, Any]:
    times = {"startedAt": ago(ended + 10), "finishedAt": ago(ended)}
    return {"terminated": {"exitCode": code, "reason": reason, **times, **more}}


def waiting(reason: str, message: str = "why") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


RUNNING = {"running": {"startedAt": ago(20)}}


def pod(
    phase: str,
    *states: dict[str, Any],
    init: dict[str, Any] | None = None,
    created: float = 60,
    deleted: float | None = None,
    grace: int = 30,
    fate: str | None = None,
    **status: Any,
) -> dict[str, Any]:
    """Return the JSON of a pod whose containers are in the given states."""
    names = ["main", "side", "third"][: max(1, len(states))]
    limits = {"resources": {"limits": {"memory": "16Mi"}}}
    containers = [{"name": name, "image": f"{name}:1", **limits} for name in names]
    metadata: dict[str, Any] = {"name": "pod", "uid": "uid", "creationTimestamp": ago(created)}
    if deleted is not None:
        metadata["deletionTimestamp"] = ago(deleted - grace)
        metadata["deletionGracePeriodSeconds"] = grace
    if fate is not None:
        metadata["annotations"] = {TERMINATION_REASON: fate}
    spec: dict[str, Any] = {"containers": containers, "nodeName": "node"}
    known: dict[str, Any] = {
        "phase": phase,
        "containerStatuses": [
            {"name": name, "restartCount": 1, "state": state}
            for name, state in zip(names, states, strict=False)
        ],
        **status,
    }
    if init is not None:
        spec["initContainers"] = [{"name": "init", "image": "init:1"}]
        known["initContainerStatuses"] = [{"name": "init", "restartCount": 0, "state": init}]
    return {"metadata": metadata, "spec": spec, "status": known}


def condition(kind: str, status: str, reason: str, message: str = "why") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": message}]}


def disrupted(reason: str) -> dict[str, Any]:
    return condition("DisruptionTarget", "True", reason)


UNSCHEDULABLE = condition("PodScheduled", "False", "Unschedulable", "0/1 nodes: too little cpu")
DEADLINE: dict[str, Any] = {
    "reason": "DeadlineExceeded",
    "message": "was active longer than allowed",
}

# pod, whether it is deleted, kind of failure, part of the reason, exit status
FAILURES: dict[str, tuple[dict[str, Any], bool, str | None, str, int | None]] = {
    "exit status": (pod("Failed", terminated(3)), False, None, "exit status 3", 3),
    "signal": (pod("Failed", terminated(139)), False, None, "killed by SIGSEGV", 139),
    "of one container": (
        pod("Failed", terminated(0, "Completed"), terminated(5)),
        *(False, None, "exit status 5 of container 'side'", 5),
    ),
    "of the first": (
        pod("Failed", terminated(7, ended=5), terminated(8, ended=9)),
        *(False, None, "exit status 8 of container 'side'", 8),
    ),
    "of an init container": (
        pod("Failed", waiting("PodInitializing"), init=terminated(2)),
        *(False, None, "exit status 2 of container 'init'", 2),
    ),
    "message of the container": (
        pod("Failed", terminated(1, message="no such dataset")),
        *(False, None, "exit status 1: no such dataset", 1),
    ),
    "cannot run": (
        pod("Failed", terminated(128, "StartError", message="exec: not found")),
        *(False, None, "StartError: exec: not found", 128),
    ),
    "out of memory": (
        pod("Failed", terminated(137, "OOMKilled")),
        *(False, "oom_killed", "its limit is 16Mi", 137),
    ),
    "out of memory beside another": (
        pod("Failed", terminated(1, ended=20), terminated(137, "OOMKilled", ended=5)),
        *(False, "oom_killed", "container 'side'", 137),
    ),
    "evicted without containers": (
        pod("Failed", reason="Evicted", message="The node was low on resource: memory."),
        *(False, "evicted", "low on resource: memory", None),
    ),
    "evicted": (
        pod("Failed", terminated(137), reason="Evicted", message="disk"),
        *(False, "evicted", "disk", 137),
    ),
    "drained": (
        pod("Running", RUNNING, deleted=40, **disrupted("EvictionByEvictionAPI")),
        *(True, "evicted", "drained", None),
    ),
    "drained and seen to end": (
        pod("Failed", terminated(143), deleted=40, **disrupted("EvictionByEvictionAPI")),
        *(False, "evicted", "drained", 143),
    ),
    "preempted": (
        pod("Failed", terminated(143), deleted=40, **disrupted("PreemptionByScheduler")),
        *(False, "evicted", "higher priority", 143),
    ),
    "its node gone": (
        pod("Failed", RUNNING, **disrupted("DeletionByPodGC")),
        *(False, "lost", "its node is gone", None),
    ),
    "node lost": (
        pod("Failed", reason="NodeLost", message="Node node is unresponsive"),
        *(False, "lost", "unresponsive", None),
    ),
    "outstays its grace period": (
        pod("Running", RUNNING, deleted=60 + LOST_TIMEOUT_SECONDS),
        *(False, "lost", "node 'node' has not stopped it", None),
    ),
    "refused by its node": (
        pod("Failed", reason="OutOfcpu", message="Node didn't have enough resource: cpu"),
        *(False, None, "OutOfcpu: Node didn't have enough", None),
    ),
    "its own deadline": (
        pod("Failed", terminated(137), **DEADLINE),
        *(False, "timed_out", "active longer", 137),
    ),
    "killed from elsewhere": (
        pod("Failed", terminated(137), fate="killed", **DEADLINE),
        *(False, "killed", "on request", None),
    ),
    "killed before it began": (
        pod("Pending", fate="killed", deleted=1),
        *(True, "killed", "on request", None),
    ),
    "deleted while it ran": (
        pod("Running", RUNNING, deleted=5),
        *(True, "deleted", "another client", None),
    ),
    "deleted by force, unannounced": (
        pod("Running", RUNNING),
        *(True, "deleted", "another client", None),
    ),
    "deleted before it ran": (pod("Pending"), True, "deleted", "another client", None),
    "deleted, and ended by that": (
        pod("Failed", terminated(143, ended=3), deleted=5),
        *(False, "deleted", "another client", 143),
    ),
    "deleted, and ended well because of that": (
        pod("Succeeded", terminated(0, "Completed", ended=3), deleted=5),
        *(True, "deleted", "another client", None),
    ),
    "timed out": (
        pod("Running", RUNNING, created=200, startTime=ago(101)),
        *(False, "timed_out", "timed out after 100 s", None),
    ),
    "unschedulable": (
        pod("Pending", created=51, **UNSCHEDULABLE),
        *(False, "unschedulable", "too little cpu", None),
    ),
    "no image": (
        pod("Pending", waiting("ImagePullBackOff"), created=51),
        *(False, "image_unavailable", "'main:1' is unavailable: ImagePullBackOff: why", None),
    ),
    "an invalid image name": (
        pod("Pending", waiting("InvalidImageName"), created=1),
        *(False, "image_unavailable", "InvalidImageName", None),
    ),
    "no image for an init container": (
        pod("Pending", waiting("PodInitializing"), init=waiting("ErrImagePull"), created=51),
        *(False, "image_unavailable", "container 'init'", None),
    ),
    "no configuration": (
        pod("Pending", waiting("CreateContainerConfigError"), created=51),
        *(False, "not_started", "CreateContainerConfigError", None),
    ),
    "never begins": (
        pod("Pending", waiting("ContainerCreating"), created=51),
        *(False, "not_started", "not running after 50 s: ContainerCreating", None),
    ),
    "nobody knows": (pod("Failed"), False, None, "of unknown cause", None),
}
LIMITS = Limits(pending=50, timeout=100)


@pytest.mark.parametrize("seen", FAILURES)
def test_a_failure_has_its_kind_and_reason(seen: str) -> None:
    known, gone, kind, reason, code = FAILURES[seen]
    ending = classify(known, gone, NOW, LIMITS).outcome
    assert ending is not None
    assert not ending.success
    assert ending.kind == kind
    assert reason in ending.reason
    record = outcome_record(known, ending, 2, NOW)
    assert record["success"] is False
    assert record["return_code"] == code
    assert record.get("reason") == ending.reason
    assert kind is None or record[kind] is True


@pytest.mark.parametrize(
    "known",
    [
        pod("Succeeded", terminated(0, "Completed")),
        pod("Succeeded", terminated(0, "Completed", ended=50), deleted=40, grace=0),
        pod("Succeeded", terminated(0, "Completed"), terminated(0, "Completed")),
    ],
    ids=["plain", "deleted afterwards", "with a side container"],
)
@pytest.mark.parametrize("gone", [False, True])
def test_a_success_stays_one_after_the_pod_is_deleted(known: Any, gone: bool) -> None:
    ending = classify(known, gone, NOW, LIMITS).outcome
    assert ending is not None
    assert ending.success


@pytest.mark.parametrize(
    ("known", "again"),
    [
        (pod("Running", RUNNING, startTime=ago(60)), 40),
        (pod("Running", terminated(0, "Completed"), RUNNING, startTime=ago(60)), 40),
        (pod("Running", terminated(3), RUNNING, startTime=ago(60)), 40),
        (pod("Running", RUNNING, init=terminated(0), startTime=ago(60)), 40),
        (pod("Running", RUNNING, created=60, startTime=ago(5000)), 40),
        (pod("Pending", created=20), 30),
        (pod("Pending", created=20, **UNSCHEDULABLE), 30),
        (pod("Pending", waiting("ErrImagePull"), created=20), 30),
        (pod("Running", RUNNING, deleted=10), 20 + LOST_TIMEOUT_SECONDS),
    ],
    ids=[
        *("running", "side container running", "main failed, side running", "after init"),
        *("a node whose clock is late", "pending", "unschedulable", "no image", "being deleted"),
    ],
)
def test_a_pod_that_has_not_ended_is_classified_again_in_time(known: Any, again: float) -> None:
    verdict = classify(known, False, NOW, LIMITS)
    assert verdict.outcome is None
    assert verdict.recheck_seconds == pytest.approx(again)


def test_without_limits_a_pod_may_wait_for_a_node_forever_but_not_for_an_image() -> None:
    assert classify(pod("Pending", created=1e6, **UNSCHEDULABLE), False, NOW, Limits()) == classify(
        pod("Running", RUNNING, startTime=ago(1e6)), False, NOW, Limits()
    )
    verdict = classify(
        pod("Pending", waiting("ErrImagePull"), created=IMAGE_TIMEOUT_SECONDS), False, NOW, Limits()
    )
    assert verdict.outcome is not None


def test_the_time_for_an_image_does_not_include_the_wait_for_a_node() -> None:
    stuck = pod("Pending", waiting("ErrImagePull"), created=1e5, startTime=ago(100))
    assert classify(stuck, False, NOW, Limits()).recheck_seconds == pytest.approx(
        IMAGE_TIMEOUT_SECONDS - 100
    )
    assert classify(stuck, False, NOW, Limits(pending=1e4)).outcome is not None


def test_a_pod_discarded_by_another_process_has_no_record() -> None:
    ending = classify(pod("Running", RUNNING, fate="discarded"), True, NOW, LIMITS).outcome
    assert ending is not None
    assert ending.kind == "discarded"


@pytest.mark.parametrize(("kind", "retried"), [("lost", False), ("deleted", True)])
def test_a_pod_that_may_still_run_is_never_retried_automatically(kind: str, retried: bool) -> None:
    known = FAILURES["its node gone" if kind == "lost" else "deleted before it ran"]
    ending = classify(known[0], known[1], NOW, LIMITS).outcome
    assert ending is not None
    assert (ending.kind not in FINAL_FLAGS) is retried


def test_a_record_contains_node_times_and_the_outcome_of_each_container() -> None:
    known = pod("Failed", terminated(0, "Completed"), terminated(137, "OOMKilled"))
    ending = classify(known, False, NOW, LIMITS).outcome
    assert ending is not None
    record = outcome_record(known, ending, 3, NOW)
    assert record["start_time"] == NOW - timedelta(seconds=20)
    assert record["end_time"] == NOW - timedelta(seconds=10)
    assert record["duration"] == 10
    assert record["attempt"] == 3
    assert record["node"] == "node"
    assert record["image"] == "main:1"
    assert record["restarts"] == 2
    assert record["signal"] == "SIGKILL"
    assert record["uid"] == "uid"
    described = [(c["name"], c["return_code"], c["reason"]) for c in record["containers"]]
    assert described == [("main", 0, "Completed"), ("side", 137, "OOMKilled")]


@pytest.mark.parametrize("phase", ["Unknown", None, "Invented"])
def test_an_unknown_phase_is_not_an_ending(phase: Any) -> None:
    assert classify(pod(phase, RUNNING), False, NOW, Limits()).outcome is None
