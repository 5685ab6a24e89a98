"""Checks of the tasks of a new pipeline."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pydatatask_core.errors import PipelineConfigurationError
from pydatatask_core.task.base import Task

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_tasks"]


def check_tasks(tasks: Iterable[Task]) -> list[Task]:
    """Return the tasks as a list, after a check that they are tasks with distinct names.

    :param tasks: the tasks passed to the pipeline.
    :raises PipelineConfigurationError: if they are not; it names the task.
    """
    try:
        checked = list(tasks)
    except TypeError as e:
        raise PipelineConfigurationError(
            f"tasks has to be a list or another iterable of tasks, not {tasks!r}"
        ) from e
    for task in checked:
        if not isinstance(task, Task):
            raise PipelineConfigurationError(f"{task!r} is not a task; a pipeline needs tasks")
        if type(task).__hash__ is None:
            raise PipelineConfigurationError(
                f"task {task.name} cannot be identified because its class defines == without a "
                "hash; a dataclass that is a task needs @dataclass(eq=False)"
            )
    for name, times in Counter(task.name for task in checked).items():
        if times > 1:
            raise PipelineConfigurationError(
                f"{times} tasks are named {name!r}; give each its own name"
            )
    return checked
