"""The order of jobs in the backlog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core import ResourceManager, Resources
from pydatatask_core.pipeline.backlog import Backlog

from .fakes import Detached, jobs

if TYPE_CHECKING:
    from collections.abc import Callable


def two_tasks(shared: bool = False) -> tuple[Detached, Detached]:
    quotas = [ResourceManager(Resources.parse(1, 1)) for _ in range(2)]
    return (
        Detached("a", jobs(), quotas[0]),
        Detached("b", jobs(), quotas[0] if shared else quotas[1]),
    )


def by(priorities: dict[str, int]) -> Callable[[str, str], int]:
    return lambda task, job: priorities[job]


def test_without_priorities_each_task_takes_its_jobs_in_order_of_names() -> None:
    a, b = two_tasks()
    backlog = Backlog()
    backlog.replace({a: {"y", "x"}, b: {"z"}})

    assert [backlog.take(a), backlog.take(b), backlog.take(a), backlog.take(a)] == [
        "x",
        "z",
        "y",
        None,
    ]


def test_a_lower_priority_waits_until_the_launch_of_the_higher_has_returned() -> None:
    """P1: also if that launch takes long."""
    a, b = two_tasks()
    backlog = Backlog(by({"high": 2, "low": 1}))
    backlog.replace({a: {"high"}, b: {"low"}})

    assert backlog.take(b) is None
    assert backlog.take(a) == "high"
    assert backlog.take(b) is None
    backlog.mark_scheduled(a, "high")
    assert backlog.take(b) == "low"


def test_a_lower_priority_of_the_same_task_waits_as_well() -> None:
    a, _ = two_tasks()
    backlog = Backlog(by({"high": 2, "low": 1}))
    backlog.replace({a: {"low", "high"}})

    assert backlog.take(a) == "high"
    assert backlog.take(a) is None
    backlog.mark_scheduled(a, "high")
    assert backlog.take(a) == "low"


def test_a_refusal_holds_back_lower_priorities_of_its_quota() -> None:
    a, b = two_tasks(shared=True)
    backlog = Backlog(by({"high": 2, "low": 1}))
    backlog.replace({a: {"high"}, b: {"low"}})

    assert backlog.take(a) == "high"
    backlog.requeue(a, "high")
    backlog.refused.add(a)

    assert backlog.take(b) is None


def test_a_refusal_holds_back_no_job_of_another_quota() -> None:
    a, b = two_tasks(shared=False)
    backlog = Backlog(by({"high": 2, "low": 1}))
    backlog.replace({a: {"high"}, b: {"low"}})

    assert backlog.take(a) == "high"
    backlog.requeue(a, "high")
    backlog.refused.add(a)

    assert backlog.take(b) == "low"


def test_a_refused_job_returns_to_the_head_of_the_queue() -> None:
    a, _ = two_tasks()
    backlog = Backlog()
    backlog.replace({a: {"x", "y"}})

    first = backlog.take(a)
    assert first == "x"
    backlog.requeue(a, first)

    assert backlog.count(a) == 2
    assert backlog.take(a) == "x"


def test_a_round_replaces_the_remaining_jobs_of_the_last_round() -> None:
    a, b = two_tasks()
    backlog = Backlog()
    backlog.replace({a: {"x"}, b: {"y"}})

    backlog.replace({a: set(), b: {"z"}})

    assert backlog.tasks() == [b]
    assert backlog.take(a) is None
    assert backlog.take(b) == "z"


def test_waiting_jobs_are_kept_for_tasks_that_a_round_does_not_include() -> None:
    a, b = two_tasks()
    backlog = Backlog(lambda task, job: 1)
    backlog.replace({a: {"x"}, b: {"y"}})

    backlog.replace({b: {"z"}})

    assert backlog.take(a) == "x"
    assert backlog.take(b) == "z"
