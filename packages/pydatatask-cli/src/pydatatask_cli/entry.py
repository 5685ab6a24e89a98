"""The entry points: ``main`` for scripts, and the console program ``pydatatask``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydatatask_core.pipeline import Pipeline

    from .group import PipelineGroup

__all__ = ["console_script", "main"]


def main(pipeline: Pipeline, instrument: Callable[[Any], None] | None = None) -> None:
    """Parse ``sys.argv`` and run the command; call it at the end of a script.

    It returns after success, and raises SystemExit if the exit status is not 0.

    :param pipeline: the pipeline, not opened.
    :param instrument: function that adds commands of your own: it is called with a sub-parsers
        action of argparse. The ``func`` that a parser sets with ``set_defaults`` is called as
        ``func(pipeline, **arguments)``; for a coroutine function, the pipeline is open.
    :raises PipelineError: if an event loop is running in this thread.
    """
    from .error_boundary import interruptible
    from .standard_streams import open_standard_streams

    _refuse_running_loop()
    open_standard_streams()
    with interruptible():
        group = _make_group(pipeline)
        if instrument is not None:
            from .argparse_commands import add_commands

            add_commands(group, instrument)
    try:
        group.main()
    except SystemExit as e:
        if e.code:
            raise


def _refuse_running_loop() -> None:
    import asyncio

    from pydatatask_core.errors import PipelineError

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise PipelineError(
        "pydatatask.main() cannot run inside a running event loop, such as that of a notebook "
        "or of an `async def`; use `async with pipeline: await pipeline.run()` there"
    )


def _make_group(pipeline: Pipeline) -> PipelineGroup:
    from pydatatask_core.pipeline import Pipeline

    from .errors import CommandLineError
    from .group import make_group
    from .loader import loading_source

    if not isinstance(pipeline, Pipeline):
        raise TypeError(f"main(pipeline) needs a Pipeline, not {pipeline!r}")
    if (source := loading_source()) is not None:
        raise CommandLineError(
            f"{source} calls pydatatask.main() when it is imported; move the call under "
            '`if __name__ == "__main__":`'
        )
    return make_group(pipeline)


def console_script() -> None:
    """Parse ``sys.argv``, load the pipeline that it names, and run the command."""
    from .error_boundary import interruptible
    from .standard_streams import open_standard_streams

    open_standard_streams()
    with interruptible():
        from .group import make_group

        group = make_group()
    group(prog_name="pydatatask")
