"""A connection that is re-established when it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

import asyncssh

from pydatatask_core.errors import ProcessManagerError, describe
from pydatatask_core.utils import Backoff

from .errors import SSHConnectionError, SSHLoginError, connect_error
from .host_keys import describe_host_key_problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType
    from typing import Self

__all__ = ["SSHConnection", "ssh_connection"]

log = logging.getLogger("pydatatask.proc_manager")

_RETRY_DELAYS_SECONDS = (0.2, 15.0)
"""The first and the maximum delay between two attempts."""

_REFUSED_RETRY_DELAYS_SECONDS = (15.0, 300.0)
"""The same after a refused login. A starting machine refuses logins for a while, and some machines
block users after several refusals."""


def ssh_connection(
    host: str, port: int | None = None, **options: Any
) -> Callable[[], AsyncIterator[SSHConnection]]:
    """Return a provider for :meth:`Session.resource`, which opens a connection for the session.

    For example::

        ssh = session.resource(ssh_connection("build1", username="me"))
        manager = pydatatask.SSHLinuxManager("app", ssh)

    See :class:`SSHConnection` for the parameters.
    """

    async def ssh_connection() -> AsyncIterator[SSHConnection]:
        async with SSHConnection(host, port, **options) as connection:
            yield connection

    return ssh_connection


class SSHConnection:
    """A connection to one machine that is re-established, with back-off, whenever it breaks.

    Options that are not passed are looked up as OpenSSH does: user, port, keys and jump hosts in
    ``~/.ssh/config``, keys in ``~/.ssh`` and from the agent, host keys in ``~/.ssh/known_hosts``. A
    host whose key is not listed there is refused.

    :param host: the name or address of the machine, or its alias in ``~/.ssh/config``.
    :param port: the port.
    :param keepalive: the interval in seconds after which a silent machine is sent a keepalive
        request. After three unanswered requests the connection counts as broken.
    :param patience: the seconds for which an operation waits for a connection before it fails.
    :param optional: whether opening succeeds if the machine does not answer; each operation then
        tries to connect again. For a pool of machines.
    :param options: any other option of ``asyncssh.connect``, such as ``username``,
        ``client_keys``, ``known_hosts``, ``tunnel`` (a jump host), or ``password``, which may be
        a function, plain or ``async``, that is called for the password at each login.
    """

    def __init__(
        self,
        host: str,
        port: int | None = None,
        *,
        keepalive: float = 15.0,
        patience: float = 30.0,
        optional: bool = False,
        **options: Any,
    ) -> None:
        if not isinstance(host, str) or not host:
            raise ProcessManagerError(
                f"the host of an SSH connection must be a non-empty string, not {host!r}"
            )
        self.name = host if port in (None, 22) else f"{host}:{port}"
        self.username: str | None = None
        """The name of the remote user, once it has been looked up."""
        self.patience = patience
        self.optional = optional
        self._options: dict[str, Any] = {
            "host": host,
            "keepalive_interval": keepalive,
            "keepalive_count_max": 3,
            "connect_timeout": max(keepalive, 1.0),
            "login_timeout": max(2 * keepalive, 1.0),
            **({} if port is None else {"port": port}),
            **options,
        }
        self._raw: asyncssh.SSHClientConnection | None = None
        self._lock = asyncio.Lock()
        self._failure: ProcessManagerError | None = None
        self._backoff = Backoff(*_RETRY_DELAYS_SECONDS)
        self._not_before = 0.0
        self._closed = True

    @property
    def is_up(self) -> bool:
        """True if the connection is up."""
        return self._raw is not None and not self._raw.is_closed()

    @property
    def raw(self) -> asyncssh.SSHClientConnection:
        """The current connection of the client library.

        :raises SSHConnectionError: if the connection is down.
        """
        if self._raw is None or self._raw.is_closed():
            raise self._failure or SSHConnectionError(f"the connection to {self.name} is down")
        return self._raw

    async def get(self, *, patience: float | None = None) -> asyncssh.SSHClientConnection:
        """Return a connection that is up; establish it if necessary.

        :param patience: the seconds to wait for it; None for the default of this object.
        :raises SSHConnectionError: if the machine does not answer within this time.
        :raises SSHLoginError: if it refuses the login, or presents another host key; immediately if
            it is too early for another attempt.
        """
        if self._raw is not None and not self._raw.is_closed():
            return self._raw
        self._check_open()
        deadline = time.monotonic() + (self.patience if patience is None else patience)
        async with self._lock:
            while self._raw is None or self._raw.is_closed():
                delay = self._not_before - time.monotonic()
                if delay > 0:
                    self._raise_refusal()
                    if self._failure is not None and time.monotonic() + delay > deadline:
                        raise self._failure
                    await asyncio.sleep(delay)
                self._check_open()
                await self._try()
                self._raise_refusal()
            return self._raw

    def _raise_refusal(self) -> None:
        if isinstance(self._failure, SSHLoginError):
            raise self._failure

    async def _try(self) -> None:
        if self._raw is not None:
            log.warning("the connection to %s was lost; reconnecting", self.name)
            self._raw = None
        try:
            raw = await self._connect()
            if self._closed:  # closed in the meantime: no other code would close this connection
                raw.abort()
                return
            self._raw = raw
        except ProcessManagerError as e:
            refused = isinstance(e, SSHLoginError)
            if self._failure is None or refused != isinstance(self._failure, SSHLoginError):
                delays = _REFUSED_RETRY_DELAYS_SECONDS if refused else _RETRY_DELAYS_SECONDS
                self._backoff = Backoff(*delays)
            self._failure = e
            self._not_before = time.monotonic() + self._backoff.next_delay()
        else:
            if self._failure is not None:
                log.warning("%s answers again", self.name)
            self._forget_failure()

    def _forget_failure(self) -> None:
        self._failure, self._not_before = None, 0.0

    def _check_open(self) -> None:
        if self._closed:
            raise SSHConnectionError(f"the connection to {self.name} is closed")

    async def _connect(self) -> asyncssh.SSHClientConnection:
        try:
            # Configuration, keys and known hosts are files.
            options = await asyncio.to_thread(self._prepare)
            self.username = options.username
            raw = await asyncssh.connect(options.host, options.port, options=options)
        except asyncssh.HostKeyNotVerifiable as e:
            problem = await asyncio.to_thread(describe_host_key_problem, options, self.name)
            raise SSHLoginError(problem) from e
        except (asyncssh.Error, OSError, ValueError) as e:
            raise connect_error(e, self.name) from e
        _linger(raw, forget=True)
        return raw

    def _prepare(self) -> asyncssh.SSHClientConnectionOptions:
        # `()` means ~/.ssh/config; unlike in `connect`, it is not the default here.
        return asyncssh.SSHClientConnectionOptions(**{"config": (), **self._options})

    async def __aenter__(self) -> Self:
        self._closed = False
        self._lock = asyncio.Lock()
        self._forget_failure()
        try:
            await self.get()
        except SSHConnectionError as e:
            if not self.optional:
                self._closed = True
                raise
            log.warning("%s", describe(e))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed = True
        raw, self._raw = self._raw, None
        if raw is None or raw.is_closed():
            return
        _linger(raw, forget=False)
        raw.close()
        try:
            async with asyncio.timeout(1.0):
                await raw.wait_closed()
        except TimeoutError:
            raw.abort()  # the machine does not answer any more

    def __repr__(self) -> str:
        return f"<SSHConnection to {self.name}, {'up' if self.is_up else 'down'}>"


def _linger(raw: asyncssh.SSHClientConnection, *, forget: bool) -> None:
    """Set whether undelivered data is discarded when the connection is closed.

    A broken connection must not deliver a command later, after the next one is established.
    """
    sock: socket.socket | None = raw.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):  # the connection has been closed already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", forget, 0))
