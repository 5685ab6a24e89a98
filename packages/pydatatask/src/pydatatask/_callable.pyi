"""The type of ``pydatatask.main`` for type checkers: a module that is also a function."""

from collections.abc import Callable
from typing import Any

import pydatatask_cli
from pydatatask_core.pipeline import Pipeline

class CallableMain:
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

    def __call__(
        self, pipeline: Pipeline, instrument: Callable[[Any], None] | None = None
    ) -> None: ...
