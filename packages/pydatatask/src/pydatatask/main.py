"""The administration interface of a pipeline, and each of its commands as a function.

The script that you write ends with ``pydatatask.main(pipeline)``, which is short for
``pydatatask.main.main(pipeline)``: this module may be called.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydatatask_cli import (
        cat_data,
        delete_data,
        inject_data,
        launch,
        list_data,
        main,
        make_group,
        pass_app,
        print_status,
        print_trace,
        run,
        shell,
        update,
    )
    from pydatatask_core.pipeline import Pipeline

__all__ = [
    "cat_data",
    "delete_data",
    "inject_data",
    "launch",
    "list_data",
    "main",
    "make_group",
    "pass_app",
    "print_status",
    "print_trace",
    "run",
    "shell",
    "update",
]

_SOURCES = {"pydatatask_cli": tuple(__all__)}


class CallableModule(ModuleType):
    """A module that is called as its function of the same name is."""

    def __call__(self, pipeline: Pipeline, instrument: Callable[[Any], None] | None = None) -> None:
        """Parse ``sys.argv`` and do what it asks of a pipeline; see ``main``."""
        self.main(pipeline, instrument)


if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)

sys.modules[__name__].__class__ = CallableModule
