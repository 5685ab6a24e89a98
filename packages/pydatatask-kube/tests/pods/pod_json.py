"""Helpers for the JSON of pods."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

__all__ = ["Pod", "matches", "now", "runs", "statuses"]

Pod = dict[str, Any]


def now() -> str:
    """Return the current time in the format of Kubernetes."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def statuses(pod: Pod, *, running: bool = False, code: int = 0, **more: Any) -> dict[str, Any]:
    if running:
        state: dict[str, Any] = {"running": {"startedAt": now()}}
    else:
        reason = "Error" if code else "Completed"
        times = {"startedAt": now(), "finishedAt": now()}
        state = {"terminated": {"exitCode": code, "reason": reason, **times, **more}}
    return {
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": running,
                "restartCount": 0,
                "state": state,
            }
            for container in pod["spec"]["containers"]
        ]
    }


def runs(pod: Pod, container: str) -> bool:
    kinds = ("initContainerStatuses", "containerStatuses")
    statuses = [status for kind in kinds for status in pod["status"].get(kind, ())]
    return any(status["name"] == container and "running" in status["state"] for status in statuses)


def matches(pod: Pod, selector: str) -> bool:
    wanted = dict(part.split("=") for part in selector.split(",") if part)
    labels: dict[str, str] = pod["metadata"].get("labels", {})
    return wanted.items() <= labels.items()
