"""Launches never exceed a quota, and quota is always released."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import until

from pydatatask_core import (
    InProcessMetadataRepository,
    ResourceManager,
    Resources,
    Retries,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import LaunchRefusedError, TemplateError

if TYPE_CHECKING:
    from processes.lab import Lab

    from pydatatask_core import ProcessTask


class Untouchable:
    """An object that raises on every attribute access."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was used for a job that was not launched")


async def test_a_refused_launch_does_no_work(lab: Lab) -> None:
    """No template is rendered and no value is read for it."""
    await lab.add("a", "b")
    lab.quota = ResourceManager(Resources.parse(1, 1))
    task = lab.task("WAIT; {{ inp }}")
    await task.launch("a")
    template, task.template = task.template, Untouchable()  # type: ignore[assignment]
    with pytest.raises(
        LaunchRefusedError, match="'b' has to wait, because the quota of CPU is used up"
    ):
        await task.launch("b")
    assert task.running == {"a"}
    task.template = template
    lab.go.touch()
    await lab.quiet(task)
    await task.launch("b")
    await lab.quiet(task)
    assert lab.empty()


def counted(repo: Any, log: list[str], name: str) -> Any:
    """Log each call of a method of the repository."""

    def through(method: str) -> Any:
        ask = getattr(repo, method)

        def asked(*args: Any) -> Any:
            log.append(f"{name} {method}")
            return ask(*args)

        return asked

    for method in ("keys", "contains", "info", "info_all", "info_many", "dump", "delete"):
        setattr(repo, method, through(method))
    return repo


async def test_a_round_that_can_launch_nothing_costs_only_the_listings(lab: Lab) -> None:
    asked: list[str] = []
    ready = InProcessMetadataRepository({f"job{number}": number for number in range(10_000)})
    lab.inp = counted(ready, asked, "inp")
    lab.quota = ResourceManager(Resources.parse(8, 8))
    task = lab.task(
        "WAIT; : {{ inp }}",
        pids=counted(lab.pids, asked, "pids"),
        done=counted(lab.done, asked, "done"),
    )
    async with lab.pipeline(task) as pipeline:
        await pipeline.update()
        running = set(task.running)
        assert len(running) == 8
        assert asked.count("inp info") == 8
        template, task.template = task.template, Untouchable()  # type: ignore[assignment]
        asked.clear()
        assert await pipeline.update()
        task.template = template
        assert sorted(asked) == sorted(set(asked) & {"inp keys", "pids keys", "done keys"})
        assert task.running == running
        for job in ready.data.keys() - running:
            del ready.data[job]
        lab.go.touch()
        await pipeline.run(poll=0.05)
    assert await lab.done.keys() == running
    assert lab.empty()


async def test_no_more_jobs_run_at_once_than_the_quota_allows(lab: Lab) -> None:
    await lab.add(*(f"job{number}" for number in range(12)))
    lab.quota = ResourceManager(Resources.parse(3, 100))
    task = lab.task("echo begin >>LOG; sleep 0.1; echo end >>LOG")
    await lab.run(task)
    now, most = 0, 0
    for line in lab.log.read_text().splitlines():
        now += 1 if line == "begin" else -1
        most = max(most, now)
    assert most == 3
    assert lab.empty()


async def test_no_launch_is_attempted_that_the_quota_would_refuse(lab: Lab) -> None:
    await lab.add(*(f"job{number}" for number in range(12)))
    lab.quota = ResourceManager(Resources.parse(3, 100))
    task = lab.task("echo {{ job }} >>LOG")
    launch, tried = task.launch, list[str]()

    async def counted_launch(job: str) -> None:
        tried.append(job)
        await launch(job)

    task.launch = counted_launch  # type: ignore[method-assign]
    await lab.run(task)
    assert len(lab.log.read_text().splitlines()) == 12
    assert sorted(set(tried)) == sorted(tried)
    assert lab.empty()


async def test_tasks_share_a_quota(lab: Lab) -> None:
    await lab.add("a", "b", "c")
    lab.quota = ResourceManager(Resources.parse(1, 1))
    tasks = [
        lab.task(
            "echo begin >>LOG; sleep 0.05; echo end >>LOG",
            name,
            pids=YamlMetadataFileRepository(lab.root / f"pids of {name}"),
            done=YamlMetadataFileRepository(lab.root / f"done of {name}"),
        )
        for name in ("first", "second")
    ]
    await lab.run(*tasks)
    assert lab.log.read_text() == "begin\nend\n" * 6
    assert lab.empty()


async def test_a_failed_launch_releases_its_quota(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task("{{ 1 / 0 }}")
    for _ in range(5):
        with pytest.raises(TemplateError):
            await task.launch("a")
    usage = lab.quota.usage()
    assert usage is not None
    assert usage.cpu == 0


async def test_the_quota_of_a_process_is_released_when_it_ends(lab: Lab) -> None:
    """It does not wait for the record: a slow store leaves no machine idle."""
    gate = asyncio.Event()

    class Slow(YamlMetadataFileRepository):
        async def dump(self, job: str, data: Any) -> None:
            await gate.wait()
            await super().dump(job, data)

    await lab.add("a", "b")
    lab.quota = ResourceManager(Resources.parse(1, 1))
    task = lab.task("echo ran >>LOG", done=Slow(lab.root / "done"))
    async with lab.pipeline(task) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=0.05))

        async def both() -> bool:
            return lab.lines() == ["ran", "ran"]

        await until(both)
        assert task.running == {"a", "b"}
        gate.set()
        await run
    assert lab.empty()


async def test_launches_per_window_are_limited(lab: Lab) -> None:
    await lab.add("a", "b", "c")
    lab.quota = ResourceManager(Resources.parse(9, 9, 2))
    task = lab.task("true", window=timedelta(hours=1))
    for job in ("a", "b"):
        await task.launch(job)
    await lab.quiet(task)
    with pytest.raises(LaunchRefusedError, match="RATE"):
        await task.launch("c")
    assert await lab.pids.keys() == set()


async def test_launches_before_a_restart_count_towards_the_limit(lab: Lab) -> None:
    await lab.add("a", "b")
    lab.quota = ResourceManager(Resources.parse(9, 9, 1))
    task = lab.task("WAIT")
    await task.launch("a")
    await lab.running(task, "a")
    task.attach(None)
    other = lab.again()
    other.quota = ResourceManager(Resources.parse(9, 9, 1))
    again = other.task("WAIT")
    with pytest.raises(LaunchRefusedError, match="RATE"):
        await again.launch("b")
    lab.go.touch()
    await other.quiet(again)


async def test_a_retry_that_waits_for_quota_does_not_fail_an_update(lab: Lab) -> None:
    """Without a pipeline, too, a job refused by the quota stays due."""
    await lab.add("a", "b")
    lab.quota = ResourceManager(Resources.parse(1, 1))
    task = lab.task("[ {{ job }} = a ] && exit 1; WAIT", retries=Retries(1, delay=0.01))
    await task.launch("a")
    await until(lambda: _launched(task, "b"))
    await until(lambda: _is_due(task))
    await task.update()
    assert list(task.due_retries) == ["a"]
    lab.go.touch()
    await lab.quiet(task)
    assert (await lab.done.info("a"))["attempt"] == 2
    assert lab.empty()


async def _is_due(task: ProcessTask) -> bool:
    return bool(task.due_retries)


async def _launched(task: ProcessTask, job: str) -> bool:
    try:
        await task.launch(job)
    except LaunchRefusedError:
        return False
    return True


async def test_concurrency_limits_the_running_jobs_of_a_task(lab: Lab) -> None:
    await lab.add(*(f"job{number}" for number in range(6)))
    await lab.run(lab.task("echo begin >>LOG; sleep 0.05; echo end >>LOG", concurrency=1))
    assert lab.log.read_text() == "begin\nend\n" * 6


async def test_the_next_job_starts_when_a_failed_one_begins_to_wait_for_its_retry(
    lab: Lab,
) -> None:
    await lab.add("a", "b")
    task = lab.task(
        "echo {{ job }} >>LOG; [ {{ job }} = b ]", concurrency=1, retries=Retries(1, delay=3600)
    )
    async with lab.pipeline(task) as pipeline:
        run = asyncio.create_task(pipeline.run(poll=3600))
        await until(lambda: is_recorded(lab, "b"))
        assert task.waiting == {"a"}
        run.cancel()
        await asyncio.wait([run])
    assert lab.lines() == ["a", "b"]


async def is_recorded(lab: Lab, job: str) -> bool:
    return await lab.done.contains(job)


async def test_a_job_waiting_for_its_next_attempt_uses_no_quota(lab: Lab) -> None:
    await lab.add("a", "b")
    lab.quota = ResourceManager(Resources.parse(1, 1))
    template = "echo {{ job }} >>LOG; [ {{ job }} = b ] || [ $(grep -c a LOG) = 2 ]"
    task = lab.task(template, retries=Retries(1, delay=0.2))
    summary = await lab.run(task)
    assert summary.failed == {}
    assert lab.log.read_text().split() == ["a", "b", "a"]
    assert (await lab.done.info("a"))["attempt"] == 2
    assert lab.empty()


async def test_a_retry_waits_for_quota(lab: Lab) -> None:
    await lab.add("a", "b")
    lab.quota = ResourceManager(Resources.parse(1, 1))
    template = (
        "echo {{ job }} >>LOG; if [ {{ job }} = b ]; then sleep 0.4; exit; fi; "
        "[ $(grep -c a LOG) = 2 ]"
    )
    await lab.run(lab.task(template, retries=Retries(1, delay=0.05)))
    assert lab.log.read_text().split() == ["a", "b", "a"]
    assert (await lab.done.info("a"))["success"] is True
    assert lab.empty()


async def test_the_attempt_count_continues_after_done_was_deleted(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task("echo ran >>LOG; [ $(wc -l <LOG) = 4 ]", retries=Retries(1, delay=0.01))
    await lab.run(task)
    assert (await lab.done.info("a"))["attempt"] == 2
    await lab.done.delete("a")
    await lab.run(task)
    record = await lab.done.info("a")
    assert (record["success"], record["attempt"]) == (True, 4)
    await lab.done.delete("a")
    await lab.run(task)
    assert (await lab.done.info("a"))["attempt"] == 2, "attempts are counted from the last success"


async def test_a_job_whose_launch_raised_after_it_took_effect_is_not_given_up(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task("echo ran >>LOG")
    async with lab.pipeline(task) as pipeline:
        start = task.backend.start

        async def start_and_raise(run: Any, spec: Any) -> None:
            await start(run, spec)
            raise OSError("the answer was lost")

        task.backend.start = start_and_raise  # type: ignore[method-assign]
        summary = await pipeline.run(launch_once=True, poll=3600)
    assert summary.given_up == {}
    assert (await lab.done.info("a"))["success"] is True
    assert lab.lines() == ["ran"]
    assert lab.empty()
