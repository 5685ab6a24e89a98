"""The supervisor programs of this process for one event loop."""

from __future__ import annotations

import asyncio
import os
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from pydatatask_core.errors import ProcessManagerError
from pydatatask_core.utils import in_thread

from .attributes import read_attributes
from .pair import SupervisorPair
from .supervisor.program import JOB_REQUEST, SPAWN_REQUEST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from .attributes import Attributes
    from .supervised import SupervisedJob

__all__ = ["Supervisors", "check_program"]

T = TypeVar("T")

_MAX_ATTEMPTS = 5


class Supervisors:
    """The supervisor programs of this process for the running loop.

    There is one at a time. It gets no more jobs once one of its two processes was killed, or if an
    attribute of this process has changed that it cannot change for a job; then another one is
    started, and it ends with its last job.
    """

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._loop = asyncio.get_running_loop()
        self._pairs: list[SupervisorPair] = []
        self._starting = asyncio.Lock()
        self._by_directory: dict[str, SupervisedJob] = {}

    @property
    def is_usable(self) -> bool:
        """True in the process that started the supervisors, false in a fork of it."""
        return self._owner == os.getpid()

    @property
    def pairs(self) -> Sequence[SupervisorPair]:
        """The programs, the current one last."""
        return self._pairs

    def find(self, directory: str) -> SupervisedJob | None:
        """Return the job in a directory, if one of the supervisors runs it.

        :param directory: the directory.
        """
        return self._by_directory.get(directory)

    async def start_job(
        self, directory: str, args: Sequence[str], environ: Mapping[str, str], *details: Any
    ) -> SupervisedJob:
        """Start the job of a run directory.

        :param directory: the directory.
        :param args: the command line.
        :param environ: the variables to add to those of this process.
        :param details: the other arguments of ``Supervisor.start_job``, without the number.
        :raises OSError: if no supervisor can be started.
        """
        place, journal, streams, grace = details

        async def start(pair: SupervisorPair, program: tuple[Any, ...]) -> SupervisedJob:
            return await pair.start_job(JOB_REQUEST, place, journal, program, streams, grace)

        job = await self._request(args, environ, start)
        self._by_directory[directory] = job
        job.watch(lambda: self._forget(directory, job))
        return job

    def _forget(self, directory: str, job: SupervisedJob) -> None:
        if self._by_directory.get(directory) is job:
            del self._by_directory[directory]

    async def start_program(
        self,
        args: Sequence[str],
        environ: Mapping[str, str],
        fds: Sequence[int],
        cwd: str,
        status: str,
    ) -> tuple[int, int, int]:
        """Start a program outside of a run directory.

        :param args: its command line.
        :param environ: the variables to add to those of this process.
        :param fds: its standard streams.
        :param cwd: its working directory.
        :param status: the file for its exit status.
        :return: its process id, its start time, and the process id of its supervisor.
        :raises OSError: if it cannot be started.
        """

        async def start(pair: SupervisorPair, program: tuple[Any, ...]) -> tuple[int, int, int]:
            paths = os.fsencode(cwd), os.fsencode(status)
            pid, start_time, _ = await pair.start_program(SPAWN_REQUEST, fds, *paths, program)
            return pid, start_time, pair.outer_pid

        return await self._request(args, environ, start)

    async def _request(
        self, args: Sequence[str], environ: Mapping[str, str], start: Callable[..., Awaitable[T]]
    ) -> T:
        """Send a request to the current supervisor; replace it if it was killed."""
        for attempt in range(_MAX_ATTEMPTS):
            attributes = read_attributes()
            pair = await self._current(attributes)
            program = pair.describe_program(args, environ, attributes)
            try:
                return await start(pair, program)
            except (BrokenPipeError, ConnectionResetError):
                if attempt == _MAX_ATTEMPTS - 1:
                    raise
                pair.is_retired = True
        raise AssertionError("unreachable")

    async def _current(self, attributes: Attributes) -> SupervisorPair:
        if self._pairs and self._pairs[-1].is_usable(attributes):
            return self._pairs[-1]
        async with self._starting:
            if self._pairs and self._pairs[-1].is_usable(attributes):
                return self._pairs[-1]
            pair = await in_thread(SupervisorPair, attributes)
            for other in list(self._pairs):
                other.is_retired = True
                if not other.jobs:
                    self._drop(other)
            # The reader must not keep this object alive.
            self._loop.add_reader(pair.connection, _receive, weakref.ref(self), pair)
            self._pairs.append(pair)
            return pair

    def receive(self, pair: SupervisorPair) -> None:
        """Process the reports of a supervisor.

        :param pair: the supervisor.
        """
        is_connected = pair.receive()
        if not is_connected or (pair.is_retired and not pair.jobs):
            self._drop(pair)

    def _drop(self, pair: SupervisorPair) -> None:
        """Close the connection to a supervisor that has no jobs of this object any more."""
        self._pairs.remove(pair)
        _close(self._loop, [pair])

    def close(self) -> None:
        """Close the connections; supervisors with jobs end with their last job."""
        loop, pairs = self._loop, self._pairs
        self._pairs = []
        if not self.is_usable:
            for pair in pairs:
                pair.connection.close()  # nothing else: a fork shares the loop's selector
        elif loop.is_closed() or _is_running(loop):
            _close(loop, pairs)
        else:
            try:
                loop.call_soon_threadsafe(_close, loop, pairs)
            except RuntimeError:  # the loop was closed in the meantime
                _close(loop, pairs)

    def __del__(self) -> None:
        self.close()


def check_program(args: Sequence[str], environ: Mapping[str, str]) -> None:
    """Check that a program can be started with these arguments.

    :param args: its command line.
    :param environ: the environment variables to set.
    :raises ProcessManagerError: if one of them is not valid.
    """
    for word in args:
        if "\0" in word:
            raise ProcessManagerError(f"the argument {word!r} contains a null character; remove it")
    for name, value in environ.items():
        if not name or "=" in name or "\0" in name + value:
            raise ProcessManagerError(
                f"the environment variable {name!r} cannot be set to {value!r}: a name must not be "
                "empty or contain `=`, and neither may contain a null character"
            )


def _is_running(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _close(loop: asyncio.AbstractEventLoop, pairs: list[SupervisorPair]) -> None:
    for pair in pairs:
        if not loop.is_closed():
            loop.remove_reader(pair.connection)
            loop.remove_writer(pair.connection)
        pair.close()


def _receive(supervisors: weakref.ref[Supervisors], pair: SupervisorPair) -> None:
    owner = supervisors()
    if owner is not None:
        owner.receive(pair)
