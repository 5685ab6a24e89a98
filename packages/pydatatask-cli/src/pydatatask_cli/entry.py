"""The entry of a script, and the console program ``pydatatask``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydatatask_core.pipeline import Pipeline

    from .group import PipelineGroup

__all__ = ["console_script", "main"]


def main(pipeline: Pipeline, instrument: Callable[[Any], None] | None = None) -> None:
    """Parse ``sys.argv`` and do what it asks of a pipeline; the last thing that a script does.

    It returns if all went well, and ends the program with another exit status than 0 if not.

    :param pipeline: the pipeline, not opened.
    :param instrument: adds commands of your own: it is called with a sub-parsers action of
        argparse. What a parser sets as ``func`` by ``set_defaults`` is called as
        ``func(pipeline, **arguments)``; a coroutine function finds the pipeline open.
    :raises PipelineError: if an event loop is running in this thread.
    """
    from .error_boundary import interruptible

    _refuse_running_loop()
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
        "pydatatask.main() cannot run in an event loop that is running, such as that of a notebook "
        "or of an `async def`; there, use `async with pipeline: await pipeline.run()`"
    )


def _make_group(pipeline: Pipeline) -> PipelineGroup:
    from pydatatask_core.pipeline import Pipeline

    from .errors import CommandLineError
    from .group import make_group
    from .loader import loading_source

    if not isinstance(pipeline, Pipeline):
        raise TypeError(f"main(pipeline) takes a Pipeline, not {pipeline!r}")
    if (source := loading_source()) is not None:
        raise CommandLineError(
            f"{source} calls pydatatask.main() when it is imported; put that under "
            '`if __name__ == "__main__":`'
        )
    return make_group(pipeline)


def console_script() -> None:
    """Do what ``sys.argv`` asks of the pipeline that it names."""
    from .error_boundary import interruptible

    with interruptible():
        from .group import make_group

        group = make_group()
    group(prog_name="pydatatask")
