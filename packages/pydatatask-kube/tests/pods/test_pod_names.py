"""The names and labels of pods."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatask_core.errors import TaskConfigurationError
from pydatatask_kube import PodManager
from pydatatask_kube.pod_names import pod_name

from .driven_task import Driven

if TYPE_CHECKING:
    from .api_server import ApiServer

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
JOBS = st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=128)


@given(JOBS, st.text(min_size=1, max_size=80) | st.none())
def test_the_name_of_a_pod_is_a_dns_label_for_any_job(job: str, prefix: str | None) -> None:
    assert LABEL.fullmatch(pod_name("App", "my.Task_1", job, prefix))


@given(st.lists(JOBS, unique=True, min_size=2, max_size=20))
def test_each_job_has_its_own_name_that_never_changes(jobs: list[str]) -> None:
    names = [pod_name("app", "task", job) for job in jobs]
    assert len(set(names)) == len(jobs)
    assert names == [pod_name("app", "task", job) for job in jobs]


def test_jobs_that_differ_in_case_or_in_the_last_character_have_different_names() -> None:
    long = "a" * 62
    assert pod_name("app", "task", "Job1") != pod_name("app", "task", "job1")
    assert pod_name("app", "task", long + "b") != pod_name("app", "task", long + "c")
    assert pod_name("a", "b-c", "d") != pod_name("a-b", "c", "d")


def test_the_name_begins_with_readable_parts() -> None:
    assert pod_name("app", "task", "Job1").startswith("app-task-job1-")
    assert pod_name("app", "task", "Job1", "nightly-").startswith("nightly-job1-")


@pytest.mark.parametrize("app", ["", "-a", "a b", "ä", "a" * 64, 1])
def test_an_app_that_cannot_be_a_label_is_rejected(app: Any) -> None:
    with pytest.raises(TaskConfigurationError, match="the app of a PodManager becomes a label"):
        PodManager(app, "default")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"quota": None}, "resources must be a ResourceManager"),
        ({"timeout": 0}, "timeout has to be a time above 0"),
        ({"timeout": "5"}, "timeout has to be a time above 0, .* not '5'"),
        ({"window": "60"}, "window has to be a time of at least 0, .* not '60'"),
        ({"pending_timeout": -1}, "pending_timeout has to be a time above 0"),
        ({"env": {"a-b": 1}}, "keys of env must be identifiers, .*; 'a-b' is not one"),
        ({"template": 1}, "the template has to be a string, a path or a Template"),
    ],
)
async def test_invalid_arguments_are_rejected_when_the_task_is_created(
    server: ApiServer, options: dict[str, Any], complaint: str
) -> None:
    from pydatatask_kube import KubeTask

    driven = Driven(server)
    given = {"resources": driven.quota, "template": "x", "logs": None, "done": None, **options}
    if "quota" in given:
        given["resources"] = given.pop("quota")
    with pytest.raises(ValueError, match=complaint):
        KubeTask("task", lambda: driven.podman, **given)
