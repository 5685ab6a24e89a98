"""The type of ``pydatatask.main`` for type checkers: a module that is also a function.

This module is not imported at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pydatatask_cli

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydatatask_core.pipeline import Pipeline

__all__ = ["CallableMain"]


class CallableMain:
    """The module ``pydatatask.main``, which is callable."""

    App = pydatatask_cli.App
    CommandLineError = pydatatask_cli.CommandLineError
    cat_data = staticmethod(pydatatask_cli.cat_data)
    delete_data = staticmethod(pydatatask_cli.delete_data)
    inject_data = staticmethod(pydatatask_cli.inject_data)
    launch = staticmethod(pydatatask_cli.launch)
    list_data = staticmethod(pydatatask_cli.list_data)
    main = staticmethod(pydatatask_cli.main)
    make_group = staticmethod(pydatatask_cli.make_group)
    pass_app = staticmethod(pydatatask_cli.pass_app)
    print_status = staticmethod(pydatatask_cli.print_status)
    print_trace = staticmethod(pydatatask_cli.print_trace)
    run = staticmethod(pydatatask_cli.run)
    shell = staticmethod(pydatatask_cli.shell)
    update = staticmethod(pydatatask_cli.update)

    def __call__(self, pipeline: Pipeline, instrument: Callable[[Any], None] | None = None) -> None:
        """Parse ``sys.argv`` and run the command on a pipeline."""
