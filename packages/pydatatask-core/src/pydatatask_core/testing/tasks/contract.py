"""Conformance tests for tasks."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pytest

from pydatatask_core.errors import LaunchRefusedError, UnrecordableJobError
from pydatatask_core.pipeline import Pipeline
from pydatatask_core.repository import InProcessMetadataRepository
from pydatatask_core.task import InProcessSyncTask, Retries

from .lab import OUTPUT, Driver, TaskLab, until
from .stores import Death

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from pydatatask_core.task import Task

__all__ = ["TaskContract"]

NEVER_SECONDS = 3600.0
"""A retry delay that no test reaches."""


class TaskContract:
    """Laws of any task, tested through a pipeline.

    Override :meth:`make_task`. The jobs of the task work in the folder of a
    :class:`~pydatatask_core.testing.TaskLab`.
    """

    pytestmark = pytest.mark.asyncio

    outlives_driver: ClassVar[bool] = True
    """True if jobs continue when their driver dies; False if the next driver runs them again."""

    has_quota: ClassVar[bool] = True
    """True if jobs take their share of ``lab.quota``."""

    has_retries: ClassVar[bool] = True
    """True if the option ``retries`` is implemented."""

    run_timeout_seconds: ClassVar[float] = 60.0
    """The maximum duration of one run of the pipeline until it is quiet."""

    @pytest.fixture
    def lab(self, tmp_path: Path) -> Iterator[TaskLab]:
        """Return the lab of a test, and resume the jobs that still wait when the test ends."""
        lab = TaskLab(tmp_path)
        yield lab
        lab.release()

    def make_task(self, lab: TaskLab, **options: Any) -> Task:
        """Create the task with the name ``task``, as a new driver does.

        Its jobs run ``lab.script`` or ``lab.perform(job)``. It records outcomes in ``lab.done``,
        and its own records in repositories created by ``lab.metadata(name)``. The suite links
        ``lab.inp`` and ``lab.out`` to it.

        :param lab: the lab.
        :param options: ``retries`` and ``concurrency``, if a test needs them.
        """
        pytest.fail(
            f"{type(self).__name__} must provide the method `make_task(lab, **options)`, which "
            "creates the task",
            pytrace=False,
        )

    @asynccontextmanager
    async def driver(self, lab: TaskLab, **options: Any) -> AsyncIterator[Driver]:
        """Open a pipeline of the task and of another one that is plugged after it.

        :param lab: the lab.
        :param options: the options of the task.
        """
        task = self.make_task(lab, **options)
        task.link("inp", lab.inp, is_input=True)
        task.link("out", lab.out, is_output=True)

        async def note(job: str) -> None:
            lab.succeeded.append(job)

        after = InProcessSyncTask("after", InProcessMetadataRepository(), func=note)
        after.plug(task)
        async with Pipeline([task, after], exclusive=False) as pipeline:
            yield Driver(task, pipeline, self.run_timeout_seconds)

    def _require(self, attribute: str, value: bool = True) -> None:
        if getattr(self, attribute) is not value:
            _skip(f"{type(self).__name__}.{attribute} is {not value}")

    # -- T1 --------------------------------------------------------------------------------------

    async def test_a_live_job_is_not_launched_again(self, lab: TaskLab) -> None:
        """T1: neither by a round nor by hand."""
        await lab.add("wait", "a")
        async with self.driver(lab) as driver, driver.running():
            await lab.started("a")
            with suppress(Exception):
                async with asyncio.timeout(1):  # a function would run until it is released
                    await driver.task.launch("a")
            await lab.add("succeed", "b")  # a round follows
            await until(lambda: bool(lab.starts("b")))
            assert lab.starts("a") == 1

    async def test_concurrent_launches_start_a_job_once(self, lab: TaskLab) -> None:
        """T1: the others are refused."""
        await lab.add("succeed", "a")
        async with self.driver(lab) as driver:
            launches = (driver.task.launch("a") for _ in range(5))
            outcomes = await asyncio.gather(*launches, return_exceptions=True)
            await driver.run()
        assert outcomes.count(None) == 1
        assert lab.starts("a") == 1

    async def test_the_next_driver_adopts_a_live_job(self, lab: TaskLab) -> None:
        """T1, T4: it launches no second instance, and records the outcome of the first."""
        self._require("outlives_driver")
        await lab.add("wait", "a")
        async with self.driver(lab) as driver, driver.running():
            await lab.started("a")
        assert await lab.outcome("a") is None
        async with self.driver(lab.again()) as driver:
            await driver.rounds()
            lab.release()
            await driver.run()
        assert (await lab.outcome("a"), lab.starts("a")) == (True, 1)

    # -- T2 --------------------------------------------------------------------------------------

    @pytest.mark.parametrize("action", ["succeed", "fail", "silent"])
    async def test_every_end_is_recorded(self, lab: TaskLab, action: str) -> None:
        """T2: and the job does not count as running any more."""
        await lab.add(action, "a")
        async with self.driver(lab) as driver:
            await driver.run()
            assert not driver.task.running
        assert (await lab.outcome("a"), lab.starts("a")) == (action == "succeed", 1)

    async def test_a_job_that_ends_without_a_driver_is_recorded(self, lab: TaskLab) -> None:
        """T2: by the next driver."""
        self._require("outlives_driver")
        await lab.add("wait", "a")
        async with self.driver(lab) as driver, driver.running():
            await lab.started("a")
        lab.release()
        async with self.driver(lab.again()) as driver:
            await driver.run()
        assert (await lab.outcome("a"), lab.starts("a")) == (True, 1)

    async def test_a_bad_job_stops_no_other(self, lab: TaskLab) -> None:
        """T2: whether it fails or cannot be launched."""
        await lab.add("fail", "a", "b", "c")
        await lab.add("succeed", "d", "e", "z" * 60)
        async with self.driver(lab, concurrency=1) as driver:
            await driver.run()
        outcomes = [await lab.outcome(job) for job in "abcde"]
        assert outcomes == [False, False, False, True, True]

    async def test_a_record_that_the_store_refuses_is_written_later(self, lab: TaskLab) -> None:
        """T2: the job counts as running until then, and does not run again."""
        await lab.add("succeed", "a")
        lab.done.refusals = 2
        async with self.driver(lab) as driver:
            await driver.run()
        assert (await lab.outcome("a"), lab.starts("a")) == (True, 1)

    async def test_a_failed_job_is_retried_before_it_is_recorded(self, lab: TaskLab) -> None:
        """T2: the record is that of the last attempt."""
        self._require("has_retries")
        await lab.add("flaky", "a")
        async with self.driver(lab, retries=Retries(1, delay=0.01)) as driver:
            await driver.run()
        assert (await lab.outcome("a"), lab.starts("a")) == (True, 2)

    async def test_a_retry_waits_for_its_time(self, lab: TaskLab) -> None:
        """T2: the job counts as running, and is not recorded."""
        self._require("has_retries")
        await lab.add("flaky", "a")
        async with self.driver(lab, retries=Retries(1, delay=NEVER_SECONDS)) as driver:
            async with driver.running():
                await until(lambda: "a" in driver.task.waiting or lab.starts("a") > 1)
            await driver.rounds()
            assert "a" in driver.task.running
        assert (await lab.outcome("a"), lab.starts("a")) == (None, 1)

    # -- T4 --------------------------------------------------------------------------------------

    @pytest.mark.parametrize("action", ["succeed", "fail"])
    async def test_a_driver_may_die_at_any_change_of_a_store(
        self, lab: TaskLab, action: str
    ) -> None:
        """T4: the next one loses no job, repeats none that outlives it, and shows whole outputs."""
        at, passed = 0, ["none"]
        while passed:
            at += 1
            place = lab.root / f"{at}"
            place.mkdir()
            passed = await self._die(TaskLab(place, Death(at)), action)
            last = TaskLab(place)
            async with self.driver(last) as driver:
                await driver.run()
            assert await last.outcome("a") is (action == "succeed"), passed
            assert last.starts("a") == 1 or not self.outlives_driver, passed
            assert await last.output("a") == OUTPUT, passed
        assert at > 2, "the outcome is recorded in no repository of the lab"  # noqa: PLR2004

    async def _die(self, lab: TaskLab, action: str) -> list[str]:
        """Run a driver until it dies; return the points that it passed, or none if it lives."""
        await lab.add(action, "a")
        async with self.driver(lab) as driver, driver.running() as run:
            died = asyncio.create_task(lab.death.died.wait())
            await asyncio.wait([run, died], return_when=asyncio.FIRST_COMPLETED)
            died.cancel()
            lives = not lab.death.died.is_set()
            lab.death.bury()
        return [] if lives else lab.death.points

    async def test_a_job_that_ended_with_its_driver_runs_again(self, lab: TaskLab) -> None:
        """T4: there is no record of the interrupted instance."""
        self._require("outlives_driver", False)
        await lab.add("wait", "a")
        async with self.driver(lab) as driver, driver.running():
            await lab.started("a")
        assert await lab.outcome("a") is None
        lab.release()
        async with self.driver(lab.again()) as driver:
            await driver.run()
        assert (await lab.outcome("a"), lab.starts("a")) == (True, 2)

    # -- T5 --------------------------------------------------------------------------------------

    async def test_no_launch_exceeds_the_quota(self, lab: TaskLab) -> None:
        """T5: the other jobs wait for room."""
        self._require("has_quota")
        await lab.add("wait", "a", "b", "c", "d")
        async with self.driver(lab) as driver:
            async with driver.running():
                await until(lambda: lab.starts() >= 2)  # noqa: PLR2004
            await lab.add("succeed", "e")
            with pytest.raises(LaunchRefusedError):
                await driver.task.launch("e")
            await driver.rounds()
            assert (lab.starts(), lab.usage) == (2, (2, 2))
            lab.release()
            await driver.run()
            assert lab.usage == (0, 0)
        assert [await lab.outcome(job) for job in "abcde"] == [True] * 5

    async def test_the_end_of_a_job_releases_its_share_once(self, lab: TaskLab) -> None:
        """T5: however it ends; the shares of other jobs stay."""
        self._require("has_quota")
        await lab.add("wait", "z")
        async with self.driver(lab) as driver:
            await driver.task.launch("z")
            for number, action in enumerate(("succeed", "fail", "silent")):
                job = f"job{number}"
                await lab.add(action, job)
                async with driver.running():
                    await lab.recorded(job)
                    await until(lambda: job not in driver.task.running)  # noqa: B023
                assert lab.usage == (1, 1), action
            lab.release()
            await driver.run()
            assert lab.usage == (0, 0)

    async def test_a_failed_launch_takes_no_quota(self, lab: TaskLab) -> None:
        """T5: it releases its share, and a later launch succeeds."""
        self._require("has_quota")
        await lab.add("succeed", "a")
        async with self.driver(lab) as driver:
            if not lab.records:
                _skip("the task keeps no records whose store could fail")
            for repo in lab.records:
                repo.refusals = 1
            with pytest.raises(OSError, match="the store refuses"):
                await driver.task.launch("a")
            await driver.run()
            assert (await lab.outcome("a"), lab.usage) == (True, (0, 0))

    async def test_adopted_jobs_count_against_the_quota(self, lab: TaskLab) -> None:
        """T5: a restart makes no room."""
        self._require("outlives_driver")
        self._require("has_quota")
        await lab.add("wait", "a", "b", "c", "d")
        async with self.driver(lab) as driver, driver.running():
            await until(lambda: lab.starts() >= 2)  # noqa: PLR2004
        other = lab.again()
        async with self.driver(other) as driver:
            live = (lab.root / "started").read_text().split()
            with pytest.raises(LaunchRefusedError):
                await driver.task.launch(next(job for job in "abcd" if job not in live))
            await driver.rounds()
            assert (other.starts(), other.usage) == (2, (2, 2))
            lab.release()
            await driver.run()

    # -- T6 --------------------------------------------------------------------------------------

    async def test_a_failed_job_does_not_start_the_next_task(self, lab: TaskLab) -> None:
        """T6: `done` holds it nevertheless."""
        await lab.add("fail", "a")
        await lab.add("succeed", "b")
        async with self.driver(lab) as driver:
            await driver.run()
        assert lab.succeeded == ["b"]
        assert (await lab.outcome("a"), await lab.outcome("b")) == (False, True)

    async def test_a_job_without_its_output_has_failed(self, lab: TaskLab) -> None:
        """T6: although it reports a success."""
        await lab.add("silent", "a")
        async with self.driver(lab) as driver:
            await driver.run()
        assert (await lab.outcome("a"), lab.succeeded) == (False, [])

    @pytest.mark.parametrize("action", ["succeed", "fail"])
    async def test_a_job_that_has_ended_is_not_launched_again(
        self, lab: TaskLab, action: str
    ) -> None:
        """T6: neither by the same driver nor by the next one, unless its record is deleted."""
        await lab.add(action, "a")
        for _ in range(2):
            async with self.driver(lab.again()) as driver:
                async with driver.running():
                    await lab.recorded("a")
                    await until(lambda: "a" not in driver.task.running)
                assert await driver.pipeline.gather_ready_jobs(driver.task) == set()
        await lab.done.delete("a")
        await lab.out.delete("a")
        async with self.driver(lab.again()) as driver:
            await driver.run()
        assert lab.starts("a") == 2  # noqa: PLR2004

    # -- T7 --------------------------------------------------------------------------------------

    async def test_cancelling_launches_nothing_more(self, lab: TaskLab) -> None:
        """T7: and the run ends by its cancellation alone."""
        await lab.add("wait", "a", "b", "c", "d")
        async with self.driver(lab, concurrency=2) as driver:
            async with driver.running() as run:
                await until(lambda: lab.starts() >= 2)  # noqa: PLR2004
            assert run.cancelled()
        assert lab.starts() == 2  # noqa: PLR2004

    async def test_cancelling_leaves_detached_work_running(self, lab: TaskLab) -> None:
        """T7: its outcome is its own."""
        self._require("outlives_driver")
        await lab.add("wait", "a")
        async with self.driver(lab) as driver:
            async with driver.running():
                await lab.started("a")
            await driver.rounds()
            lab.release()
            await driver.run()
        assert (await lab.outcome("a"), lab.starts("a")) == (True, 1)

    async def test_a_cancelled_function_has_no_outcome(self, lab: TaskLab) -> None:
        """T7: so it is ready for the next driver."""
        self._require("outlives_driver", False)
        await lab.add("wait", "a")
        async with self.driver(lab) as driver, driver.running():
            await lab.started("a")
        assert await lab.outcome("a") is None
        assert await lab.output("a") is None

    # -- T9 --------------------------------------------------------------------------------------

    async def test_a_job_that_cannot_be_recorded_is_not_started(self, lab: TaskLab) -> None:
        """T9: neither by a round nor by hand, and the others run."""
        long = "x" * (lab.done.MAX_JOB_ID_LENGTH + 1)
        await lab.add("succeed", "a", long)
        async with self.driver(lab) as driver:
            with pytest.raises(UnrecordableJobError, match=long):
                await driver.task.launch(long)
            await driver.run()
        assert (lab.starts(long), await lab.outcome("a")) == (0, True)


def _skip(reason: str) -> NoReturn:
    pytest.skip(reason)
