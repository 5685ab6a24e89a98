"""A launch error of many jobs is logged at once, and then with their number."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pydatatask_core import Pipeline, StoreError, Task
from pydatatask_core.errors import TemplateError
from pydatatask_core.pipeline.launch_errors import reason_of
from pydatatask_core.pipeline.launch_guard import LaunchGuard

from .fakes import Detached, jobs


class Failing(Detached):
    """A task whose jobs cannot be launched."""

    def error(self, job: str) -> Exception:
        return TemplateError(f"{self.name}: the template cannot be rendered for job {job!r}")

    async def launch(self, job: str) -> None:
        raise self.error(job)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO)

    def errors() -> list[str]:
        return [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]

    return errors


async def test_ten_thousand_jobs_with_one_error_are_a_few_lines_and_the_last_has_their_number(
    told: Any,
) -> None:
    names = [f"t{n}" for n in range(10_000)]
    task = Failing("task", jobs(*names))
    async with Pipeline([task]) as pipeline:
        summary = await pipeline.run()
    assert sorted(summary.given_up["task"]) == sorted(names)
    first, *more = told()
    assert "task: job t" in first
    assert "could not be launched (next try in 4 s, while the pipeline runs): task: the" in first
    assert 1 <= len(more) <= 14
    assert "task: 10000 jobs could not be launched for the same reason; the first is t" in more[-1]


async def test_a_round_logs_the_number_of_jobs_as_a_run_does(told: Any) -> None:
    task = Failing("task", source := jobs("a", "b", "c"))
    async with Pipeline([task]) as pipeline:
        await pipeline.update()
        assert len(told()) == 2
        assert "3 jobs could not be launched for the same reason" in told()[-1]
        await pipeline.update()
        assert len(told()) == 2  # no new job
        await source.dump("d", None)
        await pipeline.update()
        assert "4 jobs could not be launched for the same reason" in told()[-1]


async def test_jobs_with_different_errors_are_logged_separately(told: Any) -> None:
    class Various(Failing):
        def error(self, job: str) -> Exception:
            return ValueError("odd" if job in "ac" else f"{job} needs {len(job) + ord(job)}")

    async with Pipeline([Various("task", jobs("a", "b", "c", "d"))]) as pipeline:
        await pipeline.update()
    messages = told()
    assert len(messages) == 4
    assert sum("odd" in message for message in messages) == 2
    assert any("b needs 99" in message for message in messages)
    assert any("d needs 101" in message for message in messages)


async def test_errors_of_two_tasks_are_two_errors(told: Any) -> None:
    async with Pipeline([Failing(name, jobs("a")) for name in ("one", "two")]) as pipeline:
        await pipeline.update()
    assert sorted(message.split(":")[0] for message in told()) == ["one", "two"]


def _failing_guard(task: Task, *failing: tuple[str, str]) -> LaunchGuard:
    guard = LaunchGuard(lambda: 0.0)
    for job, text in failing:
        guard.failed(task, job, TemplateError(text))
    return guard


async def test_an_error_that_disappeared_is_logged_again_when_it_returns(told: Any) -> None:
    task = Failing("task", jobs())
    guard = _failing_guard(task, ("a", "x"), ("b", "x"))
    guard.report()
    guard.failed(task, "a", TemplateError("x"))
    assert len(told()) == 2
    guard.launched(task, "a")
    guard.allowed(task, frozenset(), frozenset())  # b is gone
    guard.failed(task, "a", TemplateError("x"))
    assert len(told()) == 3


async def test_a_job_whose_error_changes_no_longer_counts_for_the_old_one(told: Any) -> None:
    task = Failing("task", jobs())
    guard = _failing_guard(task, ("a", "x"), ("b", "x"), ("b", "y"), ("c", "y"))
    guard.report()
    assert [m.split(": ", 1)[1].split(" ")[:2] for m in told()] == [
        ["job", "a"],
        ["job", "b"],
        ["2", "jobs"],
    ]


async def test_between_rounds_the_number_is_logged_each_time_it_doubles(told: Any) -> None:
    task = Failing("task", jobs())
    guard = LaunchGuard(lambda: 0.0)
    names: list[str] = []
    for count in range(1, 101):
        names.append(f"j{count}")
        guard.failed(task, names[-1], TemplateError("x"))
        guard.allowed(task, frozenset(names), frozenset())
    counts = [message.split()[1] for message in told()[1:]]
    assert counts == ["2", "4", "8", "16", "32", "64"]


def test_errors_are_compared_without_the_job_and_the_file_name() -> None:
    def full(job: str, path: str) -> Exception:
        cause = OSError(28, "No space left on device", path)
        error = StoreError(f"write job {job!r}", "files", cause)
        error.__cause__ = cause
        return error

    one, two = full("a", "/x/.tmp12/a"), full("bb", "/x/.tmp99/bb")
    assert reason_of(one, "a") == reason_of(two, "bb")
    assert reason_of(ValueError("a man: a"), "a") != reason_of(ValueError("b mbn: b"), "b")
    assert reason_of(ValueError("/x/b-1.txt"), "b-1") == reason_of(ValueError("/x/a-2.txt"), "a-2")
    assert reason_of(ValueError("x"), "a") != reason_of(TypeError("x"), "a")
    pod, other = 'pods "app-t-a1-93b"', 'pods "app-t-b2-cf1"'
    assert reason_of(ValueError(pod), "A1") == reason_of(ValueError(other), "b2")
    first, second = ("5e8f93ab" * 8, "11f07d0c" * 8)
    assert reason_of(ValueError(f"app-{first[:30]}-1"), first) == reason_of(
        ValueError(f"app-{second[:30]}-2"), second
    )
    shown, otherwise = (TemplateError(f"{job} is bad", f"\n{job}=1") for job in "ab")
    assert str(shown) == "a is bad\na=1"
    assert reason_of(shown, "a") == reason_of(otherwise, "b")
