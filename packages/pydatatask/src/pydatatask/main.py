"""The command line of a pipeline, and each of its commands as a function.

A script ends with ``pydatatask.main(pipeline)``, which is short for
``pydatatask.main.main(pipeline)``: this module is callable.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ._lazy import documented_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydatatask_core.pipeline import Pipeline

__getattr__, __dir__ = documented_names(globals())


class CallableModule(ModuleType):
    """A module that is callable like its function of the same name."""

    def __call__(self, pipeline: Pipeline, instrument: Callable[[Any], None] | None = None) -> None:
        """Parse ``sys.argv`` and run the command on a pipeline; see ``main``."""
        self.main(pipeline, instrument)


sys.modules[__name__].__class__ = CallableModule
