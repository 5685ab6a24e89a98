"""Names and labels of pods, and the task and job of a pod. Without I/O."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import TaskConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ATTEMPT_ANNOTATION",
    "MAX_LABEL",
    "TERMINATION_REASON",
    "check_label",
    "job_of",
    "labels",
    "name_of",
    "pod_name",
    "selector",
    "task_of",
    "uid_of",
]

MAX_LABEL = 63
"""The maximum length of the value of a label, and so of a job id."""

ATTEMPT_ANNOTATION = "pydatatask/attempt"
"""The annotation with the number of the attempt."""

TERMINATION_REASON = "pydatatask/fate"
"""The annotation by which another process informs the driver why it ended a pod."""

_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_OWNER_LENGTH = 24
_JOB_LENGTH = 25
_DIGEST_LENGTH = 12


def check_label(subject: str, value: object) -> str:
    """Check that a value can be the value of a label, and return it.

    :param subject: a description of the value, for the message.
    :param value: the value.
    :raises TaskConfigurationError: if it cannot.
    """
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        raise TaskConfigurationError(
            f"{subject} becomes a label of each pod, so it must consist of at most {MAX_LABEL} "
            f"letters, digits and `-_.`, with a letter or digit at each end; {value!r} does not"
        )
    return value


def labels(app: str, task: str, job: str) -> dict[str, str]:
    """Return the labels of a job's pod."""
    return {"app": app, "task": task, "job": job}


def selector(app: str, task: str | None = None, job: str | None = None) -> str:
    """Return the selector of an application's pods, optionally of one task or job."""
    named = {"app": app, "task": task, "job": job}
    return ",".join(f"{key}={value}" for key, value in named.items() if value is not None)


def pod_name(app: str, task: str, job: str, prefix: str | None = None) -> str:
    """Return the only name that the pod of a job can have.

    It is a valid DNS label for any job id, contains readable parts of the id, and is unique for
    each job, even if job ids differ in case only.

    :param app: the application.
    :param task: the task.
    :param job: the job.
    :param prefix: the beginning of the name, instead of application and task.
    """
    digest = hashlib.sha256("\0".join((app, task, job)).encode()).hexdigest()[:_DIGEST_LENGTH]
    owner = _slug(prefix or f"{app}-{task}")[:_OWNER_LENGTH]
    parts = (owner.strip("-"), _slug(job)[:_JOB_LENGTH].strip("-"), digest)
    return "-".join(part for part in parts if part)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def name_of(pod: Mapping[str, Any]) -> str:
    """Return the name of a pod."""
    return str(pod["metadata"]["name"])


def uid_of(pod: Mapping[str, Any]) -> str:
    """Return the uid of a pod, which distinguishes it from earlier and later pods of its name."""
    return str(pod["metadata"]["uid"])


def task_of(pod: Mapping[str, Any]) -> str | None:
    """Return the value of a pod's label ``task``."""
    return (pod["metadata"].get("labels") or {}).get("task")


def job_of(pod: Mapping[str, Any]) -> str | None:
    """Return the value of a pod's label ``job``."""
    return (pod["metadata"].get("labels") or {}).get("job")
