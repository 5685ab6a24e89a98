"""The contract of tasks, tested on ours."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import ExecutorTask, InProcessSyncTask, LocalLinuxManager, ProcessTask
from pydatatask_core.testing import TaskContract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydatatask_core.testing import TaskLab


class TestProcess(TaskContract):
    def make_task(self, lab: TaskLab, **options: Any) -> ProcessTask:
        return ProcessTask(
            "task",
            lambda: LocalLinuxManager("lab", lab.root / "processes"),
            lab.quota,
            lab.request,
            lab.metadata("pids"),
            lab.script,
            done=lab.done,
            **options,
        )


class TestFunction(TaskContract):
    outlives_driver = has_quota = False

    def make_task(self, lab: TaskLab, **options: Any) -> InProcessSyncTask:
        return InProcessSyncTask("task", lab.done, func=lab.perform, **options)


class TestExecutor(TaskContract):
    outlives_driver = has_quota = False
    pool: ThreadPoolExecutor

    @pytest.fixture(autouse=True)
    def _pool(self) -> Iterator[None]:
        with ThreadPoolExecutor(4) as self.pool:
            yield

    def make_task(self, lab: TaskLab, **options: Any) -> ExecutorTask:
        return ExecutorTask("task", self.pool, lab.done, func=lab.perform, **options)
