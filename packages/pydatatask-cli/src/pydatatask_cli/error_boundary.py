"""The one place where an exception becomes a sentence and an exit status."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .errors import ExitStatus
from .output import print_error, print_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ClosedPipe", "error_sentences", "interruptible", "is_closed_pipe", "run_guarded"]

EXIT_INTERRUPTED = 130
EXIT_CLOSED_PIPE = 141
EXIT_FAILED = 1


class ClosedPipe(Exception):
    """Whoever read what is printed has gone away; unlike the OSError, click lets it pass."""


def run_guarded(work: Callable[[], object], debug: Callable[[], bool]) -> int:
    """Do something, and give the exit status that says how it went.

    :param work: what to do; an int that it returns is the status.
    :param debug: whether a traceback is wanted, asked when there is one.
    """
    _escape_unencodable()
    try:
        status = work()
        sys.stdout.flush()
    except BaseException as e:  # noqa: BLE001 - this is what the boundary is for
        status = _exit_status(e, debug())
    return _flush(status if isinstance(status, int) else 0)


def _escape_unencodable() -> None:
    """Let standard output show characters that its encoding lacks as standard error does."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def interruptible() -> Iterator[None]:
    """End the program at Ctrl-C as :func:`run_guarded` does, before that is imported."""
    try:
        yield
    except KeyboardInterrupt:
        print_info("Interrupted")
        sys.exit(EXIT_INTERRUPTED)


def _exit_status(error: BaseException, debug: bool) -> int:
    """Say what an exception means, and give the exit status for it."""
    import click

    # A prompt of click raises it `from None`, so its cause says nothing.
    interrupted = isinstance(error, click.Abort) and isinstance(
        error.__context__, KeyboardInterrupt
    )
    if interrupted or isinstance(error, KeyboardInterrupt):
        print_info("Interrupted")
        return EXIT_INTERRUPTED
    if isinstance(error, ClosedPipe) or is_closed_pipe(error):
        return _discard_output()
    if isinstance(error, ExitStatus | click.exceptions.Exit | click.ClickException):
        if isinstance(error, click.ClickException):
            shown = io.StringIO()  # the message may contain data
            error.show(file=shown)
            print_info(shown.getvalue().removesuffix("\n"))
        return error.status if isinstance(error, ExitStatus) else error.exit_code
    if isinstance(error, click.Abort):
        print_info("Aborted")
        return EXIT_FAILED
    if not isinstance(error, Exception):
        raise error
    _print_error_chain(error, debug)
    return EXIT_FAILED


def _print_error_chain(error: Exception, debug: bool) -> None:
    if debug:
        import traceback

        print_info("".join(traceback.format_exception(error)).removesuffix("\n"))
    for sentence in error_sentences(error):
        print_error(sentence)
    if not debug and _is_unexpected(error):
        print_info("--debug before the command shows where that happened")


def error_sentences(error: BaseException) -> Iterator[str]:
    """Say what an exception and its causes mean, one sentence each.

    A cause whose words are in those of the exception is not told again.

    :param error: the exception.
    """
    from pydatatask_core.errors import PydatataskError, describe

    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from error_sentences(inner)
        return
    message = describe(error)
    is_own = isinstance(error, PydatataskError)
    if not is_own and not isinstance(error, OSError | TimeoutError):
        message = f"{type(error).__name__}: {message}"
    notes = "".join(f"\n{text}" for text in getattr(error, "__notes__", ()))
    yield message + notes
    cause = error.__cause__
    if cause is not None and describe(cause) not in message:
        if isinstance(cause, BaseExceptionGroup):
            return  # the exception lists what is in it
        for sentence in error_sentences(cause):
            yield f"caused by: {sentence.removeprefix('caused by: ')}"


def _is_unexpected(error: BaseException) -> bool:
    from pydatatask_core.errors import PydatataskError

    return not isinstance(error, PydatataskError | OSError | TimeoutError)


def is_closed_pipe(error: BaseException) -> bool:
    """Tell whether an exception says only that a reader has gone away."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_closed_pipe(inner) for inner in error.exceptions)
    return isinstance(error, BrokenPipeError)


def _flush(status: int) -> int:
    """Flush while there is still somebody to notice that it fails."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _discard_output()
    return status


def _discard_output() -> int:
    """Let nothing more be said to a pipe that is closed, not by the interpreter's end either."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
    return EXIT_CLOSED_PIPE
