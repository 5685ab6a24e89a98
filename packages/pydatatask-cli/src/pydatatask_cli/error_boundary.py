"""Conversion of exceptions to error messages and exit statuses, in one place."""

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
    """The reader of the output has closed the pipe; click passes this on, unlike an OSError."""


def run_guarded(work: Callable[[], object], debug: Callable[[], bool]) -> int:
    """Call a function and return the exit status for its result or exception.

    :param work: the function; if it returns an int, that is the status.
    :param debug: called after an exception; returns whether to print a traceback.
    """
    _escape_unencodable()
    try:
        status = work()
        sys.stdout.flush()
    except BaseException as e:  # noqa: BLE001 - the boundary handles all
        status = _exit_status(e, debug())
    return _flush(status if isinstance(status, int) else 0)


def _escape_unencodable() -> None:
    """Escape characters that the encoding lacks on standard output, as standard error does."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def interruptible() -> Iterator[None]:
    """Exit on Ctrl-C as :func:`run_guarded` does, during imports before it can be used."""
    try:
        yield
    except KeyboardInterrupt:
        print_info("Interrupted")
        sys.exit(EXIT_INTERRUPTED)


def _exit_status(error: BaseException, debug: bool) -> int:
    """Print the message for an exception, and return its exit status."""
    import click

    # A prompt of click raises it `from None`, so only its context is set.
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
        print_info("add --debug before the command for a traceback")


def error_sentences(error: BaseException) -> Iterator[str]:
    """Yield a message for an exception and one for each of its causes.

    A cause whose message is part of the exception's message is omitted.

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
    """Return whether an exception means only that a reader has closed its pipe."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_closed_pipe(inner) for inner in error.exceptions)
    return isinstance(error, BrokenPipeError)


def _flush(status: int) -> int:
    """Flush standard output; return the exit status, also of a failure to flush."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _discard_output()
    return status


def _discard_output() -> int:
    """Redirect standard output to the null device, so that the interpreter's final flush works."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
    return EXIT_CLOSED_PIPE
