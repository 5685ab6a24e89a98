"""Starting supervisors by a small process that does nothing else.

Who starts a process waits until that has become its program. Python's ``os.posix_spawn`` keeps the
interpreter's lock meanwhile, so that nothing else of the driver goes on, and where jobs keep all
processors busy, the new process has to wait for its turn first. With 1,000 small scripts, 8 at a
time on 2 processors, that took a third of the driver's time.

The supervisors do not depend on the launcher: where that is killed, or cannot be had, they are
started and watched without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.utils import in_thread

from .base import STDOUT
from .identity import Process
from .launched import Launched
from .launcher_process import CONNECTION, Messages, written
from .spawning import spawn_alone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .run import Run

__all__ = ["Launcher"]

log = logging.getLogger("pydatatask.proc_manager")

_BLOCK = 1 << 16

_PROGRAM = (
    "import os, sys; os.fork() and os._exit(0); sys.path.insert(0, {root!r}); "
    "from pydatatask_core.proc_manager.launcher_process import serve; serve()"
)


class Launcher:
    """A connection to a launcher, for one event loop of one process.

    What the process has of limits, umask and priority when it is begun is what jobs get.

    :param ours: our end of the connection.
    :param theirs: the end that the process gets.
    """

    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        self.works: bool | None = None
        """Whether it can be had; None while that is not known."""
        self.pid: int | None = None
        """Its process id, once it is ready."""
        self._loop = asyncio.get_running_loop()
        self._owner = os.getpid()
        self._messages = Messages()
        self._unsent = bytearray()
        self._environ: dict[str, str] = dict(os.environ)
        self._number = 0
        self._launched: dict[int, Launched] = {}
        self._begun: asyncio.Future[None] | None = None
        self._theirs = theirs
        self._socket = _Connection(fileno=ours.detach())
        self._socket.setblocking(False)
        # It is not for the loop to keep what nobody else does.
        self._loop.add_reader(self._socket, _attend, weakref.ref(self))

    @classmethod
    def make(cls) -> Launcher:
        """Make one for the running loop.

        :raises OSError: if file descriptors are short.
        """
        return cls(*socket.socketpair())

    @property
    def is_usable(self) -> bool:
        """Whether it can be used here and now."""
        mine = self._owner == os.getpid() and self._loop is asyncio.get_running_loop()
        return mine and self._socket.fileno() >= 0

    async def begin(self) -> None:
        """Begin the process, or wait until it is begun; whoever calls first goes on first."""
        if self._begun is not None:
            return await asyncio.shield(self._begun)
        self._begun = self._loop.create_future()
        try:
            await in_thread(self._begin)
        except OSError as e:
            log.warning("no launcher can be had, jobs are started without one: %s", e)
            self._lose()
        finally:
            self._theirs.close()
            self._begun.set_result(None)

    def _begin(self) -> None:
        root = str(Path(__file__).parents[2])
        command = [sys.executable, "-I", "-S", "-c", _PROGRAM.format(root=root)]
        duplicate = (os.POSIX_SPAWN_DUP2, self._theirs.fileno(), CONNECTION)
        null = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        out = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
        # It forks and leaves, so that whoever looks after orphans waits for the other one.
        os.waitpid(spawn_alone(command, self._environ, [null, out, duplicate]), 0)

    async def launch(self, run: Run, args: Sequence[str], **options: Any) -> None:
        """Start the supervisor of a run; ``spawn_supervisor`` tells how.

        :param run: the run. It gets to know what is ``launched``, unless the launcher was gone
            before it could be told. If that is lost before it answers, nobody knows whether the
            supervisor was started.
        :raises OSError: if it could not be started.
        :raises ProcessManagerError: if this machine lacks what it needs.
        """
        if not self.is_usable:
            return
        environ = dict(os.environ)
        changed = environ if environ != self._environ else None
        self._environ = environ
        if options["stderr"] is STDOUT:
            options["stderr"] = True
        self._number += 1
        launched = run.launched = self._launched[self._number] = Launched(self._loop)
        self._send(written((self._number, changed, list(args), options)))
        await launched.answered()

    def _send(self, data: bytes) -> None:
        waits = bool(self._unsent)
        self._unsent += data
        if not waits and not self.flush():
            self._loop.add_writer(self._socket, _flush, weakref.ref(self))

    def flush(self) -> bool:
        """Send what waits, as far as that is possible now, and tell whether that was all."""
        try:
            with contextlib.suppress(BlockingIOError):
                del self._unsent[: self._socket.send(self._unsent)]
        except OSError:
            self._unsent.clear()  # whoever reads will tell
        return not self._unsent

    def stop_writing(self) -> None:
        """Wait no longer for the connection to take more."""
        self._loop.remove_writer(self._socket)

    def attend(self) -> None:
        """Take what the launcher tells."""
        try:
            data = self._socket.recv(_BLOCK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
        for kind, *rest in self._messages.take(data):
            getattr(self, f"_{kind}")(*rest)

    def _ready(self, pid: int) -> None:
        self.works, self.pid = True, pid

    def _started(self, number: int, pid: int, start: int) -> None:
        launched = self._launched[number]
        launched.process = Process(pid, start)
        launched.answer()

    def _refused(self, number: int, code: int | None, text: str, path: str | None) -> None:
        error = ProcessManagerError(text) if code is None else OSError(code, text, path)
        launched = self._launched.pop(number)
        launched.known_to_end = True
        launched.answer(error)

    def _ended(self, number: int, status: int) -> None:
        launched = self._launched.pop(number)
        launched.known_to_end = True
        launched.status = status
        launched.tell()

    def _lose(self) -> None:
        """Go on without the process, which is gone."""
        if self.works is None:
            self.works = False
            log.warning("the launcher ended before it began; jobs are started without one")
        self.close()
        lost, self._launched = self._launched, {}
        for launched in lost.values():
            launched.unwatched = True
            launched.answer()
            launched.tell()

    def close(self) -> None:
        """Have the process end; what it has started goes on."""
        if self._owner != os.getpid():
            self._socket.close()  # and nothing else: a fork shares what the loop waits by
        elif self._loop.is_closed() or _is_running(self._loop):
            _close(self._loop, self._socket)
        else:
            self._loop.call_soon_threadsafe(_close, self._loop, self._socket)

    def __del__(self) -> None:
        self.close()


class _Connection(socket.socket):
    """A socket that is closed when nobody has it any more, as is meant here."""

    def __del__(self) -> None:
        self.close()


def _attend(launcher: weakref.ref[Launcher]) -> None:
    found = launcher()
    if found is not None:
        found.attend()


def _flush(launcher: weakref.ref[Launcher]) -> None:
    found = launcher()
    if found is not None and found.flush():
        found.stop_writing()


def _is_running(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _close(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
    if connection.fileno() >= 0 and not loop.is_closed():
        loop.remove_reader(connection)
        loop.remove_writer(connection)
    connection.close()
