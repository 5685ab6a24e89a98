"""The process that starts supervisors for a driver, and tells it of their ends.

It is a program of its own, see ``launcher``. Each message is its length, as four bytes, and what
``marshal`` makes of a tuple.
"""

from __future__ import annotations

import marshal
import os
import select
import signal
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import ProcessManagerError

from .base import STDOUT
from .identity import Process
from .spawning import spawn_supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CONNECTION", "Messages", "serve", "written"]

CONNECTION = 3
"""The descriptor by which the launcher is connected to its driver."""

_BLOCK = 1 << 16


class Messages:
    """Puts together the messages of which pieces come."""

    def __init__(self) -> None:
        self._pieces = bytearray()

    def take(self, piece: bytes) -> Iterator[Any]:
        """Take some more bytes, and give each message that is whole.

        :param piece: the bytes.
        """
        self._pieces += piece
        while len(self._pieces) >= 4:  # noqa: PLR2004 - the length
            end = 4 + int.from_bytes(self._pieces[:4], "big")
            if len(self._pieces) < end:
                return
            message = marshal.loads(self._pieces[4:end])
            del self._pieces[:end]
            yield message


def written(message: tuple[Any, ...]) -> bytes:
    """Write a message.

    :param message: of numbers, text, None, and tuples, lists and dicts of these.
    """
    data = marshal.dumps(message)
    return len(data).to_bytes(4, "big") + data


def serve() -> None:
    """Do what the driver says until it is gone."""
    os.set_inheritable(CONNECTION, False)
    os.chdir("/")
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    # The driver decides when this ends, not who hangs up its terminal.
    for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _do_nothing)
    messages, living, inherited = Messages(), dict[int, int](), dict(os.environ)
    try:
        _tell(("ready", os.getpid()))
        while True:
            ready = select.select([CONNECTION, reading], [], [])[0]
            if reading in ready:
                os.read(reading, _BLOCK)
                _reap(living)
            if CONNECTION in ready:
                data = os.read(CONNECTION, _BLOCK)
                if not data:
                    return
                for message in messages.take(data):
                    _obey(message, living, inherited)
    except (BrokenPipeError, ConnectionResetError):
        return


def _do_nothing(*_: object) -> None:
    pass


def _tell(message: tuple[Any, ...]) -> None:
    rest = memoryview(written(message))
    while rest:
        rest = rest[os.write(CONNECTION, rest) :]


def _obey(message: tuple[Any, ...], living: dict[int, int], inherited: dict[str, str]) -> None:
    number, environ, args, options = message
    if environ is not None:
        inherited.clear()
        inherited.update(environ)
    if options["stderr"] is True:
        options["stderr"] = STDOUT
    try:
        pid = spawn_supervisor(args, inherited=inherited, **options)
    except OSError as e:
        _tell(("refused", number, e.errno, e.strerror, e.filename))
        return
    except ProcessManagerError as e:
        _tell(("refused", number, None, str(e), None))
        return
    living[pid] = number
    _tell(("started", number, pid, Process.of(pid).start))


def _reap(living: dict[int, int]) -> None:
    while living:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        _tell(("ended", living.pop(pid), os.waitstatus_to_exitcode(status)))
