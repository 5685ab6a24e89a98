"""What is refused when a pipeline is made."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pydatatask_core.errors import PipelineConfigurationError
from pydatatask_core.task.base import Task

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_tasks"]


def check_tasks(tasks: Iterable[Task]) -> list[Task]:
    """Refuse what is no task, and two tasks of one name.

    :param tasks: what the pipeline was given.
    :raises PipelineConfigurationError: naming the culprit.
    """
    try:
        checked = list(tasks)
    except TypeError as e:
        raise PipelineConfigurationError(
            f"a pipeline is made of tasks, in a list for instance, not of {tasks!r}"
        ) from e
    for task in checked:
        if not isinstance(task, Task):
            raise PipelineConfigurationError(f"a pipeline is made of tasks, and {task!r} is none")
        if type(task).__hash__ is None:
            raise PipelineConfigurationError(
                f"task {task.name} cannot be told from others, since its class defines == and no "
                "hash; a dataclass that is a task needs @dataclass(eq=False)"
            )
    for name, times in Counter(task.name for task in checked).items():
        if times > 1:
            raise PipelineConfigurationError(
                f"{times} tasks are named {name!r}; give each a name of its own"
            )
    return checked
