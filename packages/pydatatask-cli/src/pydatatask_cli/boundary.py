"""The one place where an exception becomes a sentence and an exit status."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .errors import ExitStatus
from .output import complain, note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ClosedPipe", "guarded", "interruptible", "is_closed_pipe", "sentences"]

INTERRUPTED = 130
CLOSED_PIPE = 141
FAILED = 1


class ClosedPipe(Exception):
    """Whoever read what is printed has gone away; unlike the OSError, click lets it pass."""


def guarded(work: Callable[[], object], debug: Callable[[], bool]) -> int:
    """Do something, and give the exit status that says how it went.

    :param work: what to do; an int that it returns is the status.
    :param debug: whether a traceback is wanted, asked when there is one.
    """
    _escape_what_cannot_be_shown()
    try:
        status = work()
        sys.stdout.flush()
    except BaseException as e:  # noqa: BLE001 - this is what the boundary is for
        status = _status_of(e, debug())
    return _flushed(status if isinstance(status, int) else 0)


def _escape_what_cannot_be_shown() -> None:
    """Let standard output show characters that its encoding lacks as standard error does."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def interruptible() -> Iterator[None]:
    """End the program at Ctrl-C as :func:`guarded` does, while what that needs is not imported."""
    try:
        yield
    except KeyboardInterrupt:
        note("Interrupted")
        sys.exit(INTERRUPTED)


def _status_of(error: BaseException, debug: bool) -> int:
    """Say what an exception means, and give the exit status for it."""
    import click

    # A prompt of click raises it `from None`, so its cause says nothing.
    interrupted = isinstance(error, click.Abort) and isinstance(
        error.__context__, KeyboardInterrupt
    )
    if interrupted or isinstance(error, KeyboardInterrupt):
        note("Interrupted")
        return INTERRUPTED
    if isinstance(error, ClosedPipe) or is_closed_pipe(error):
        return _silenced()
    if isinstance(error, ExitStatus | click.exceptions.Exit | click.ClickException):
        if isinstance(error, click.ClickException):
            shown = io.StringIO()  # the message may contain data
            error.show(file=shown)
            note(shown.getvalue().removesuffix("\n"))
        return error.status if isinstance(error, ExitStatus) else error.exit_code
    if isinstance(error, click.Abort):
        note("Aborted")
        return FAILED
    if not isinstance(error, Exception):
        raise error
    _tell(error, debug)
    return FAILED


def _tell(error: Exception, debug: bool) -> None:
    if debug:
        import traceback

        note("".join(traceback.format_exception(error)).removesuffix("\n"))
    for sentence in sentences(error):
        complain(sentence)
    if not debug and _is_surprise(error):
        note("--debug before the command shows where that happened")


def sentences(error: BaseException) -> Iterator[str]:
    """Say what an exception and its causes mean, one sentence each.

    A cause whose words are in those of the exception is not told again.

    :param error: the exception.
    """
    from pydatatask_core.errors import PydatataskError, describe

    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from sentences(inner)
        return
    told = describe(error)
    ours = isinstance(error, PydatataskError)
    if not ours and not isinstance(error, OSError | TimeoutError):
        told = f"{type(error).__name__}: {told}"
    notes = "".join(f"\n{text}" for text in getattr(error, "__notes__", ()))
    yield told + notes
    cause = error.__cause__
    if cause is not None and describe(cause) not in told:
        if isinstance(cause, BaseExceptionGroup):
            return  # the exception lists what is in it
        for sentence in sentences(cause):
            yield f"caused by: {sentence.removeprefix('caused by: ')}"


def _is_surprise(error: BaseException) -> bool:
    from pydatatask_core.errors import PydatataskError

    return not isinstance(error, PydatataskError | OSError | TimeoutError)


def is_closed_pipe(error: BaseException) -> bool:
    """Tell whether an exception says only that a reader has gone away."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_closed_pipe(inner) for inner in error.exceptions)
    return isinstance(error, BrokenPipeError)


def _flushed(status: int) -> int:
    """Flush while there is still somebody to notice that it fails."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _silenced()
    return status


def _silenced() -> int:
    """Let nothing more be said to a pipe that is closed, not by the interpreter's end either."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return CLOSED_PIPE
