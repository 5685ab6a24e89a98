"""Servers that a test run starts and may kill."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

__all__ = ["Container", "Program", "Server"]


class Server(ABC):
    """A server on the loopback interface that keeps its data when it is killed and restarted.

    :param port: the port of the server.
    """

    host = "127.0.0.1"
    patience = 45.0
    """Maximum number of seconds that the start may take."""

    def __init__(self, port: int) -> None:
        self.port = port

    def start(self) -> None:
        """Start the server, and wait until it accepts connections.

        :raises RuntimeError: if the server exits or does not accept connections in time.
        """
        self._launch()
        deadline = time.monotonic() + self.patience
        while not self._accepts():
            if self._ended() or time.monotonic() > deadline:
                output = self.output()[-2000:]
                self.stop()
                raise RuntimeError(f"{self!r} failed to start on port {self.port}:\n{output}")
            time.sleep(0.02)

    def _accepts(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    @abstractmethod
    def output(self) -> str:
        """Return the output of the server."""

    @abstractmethod
    def kill(self) -> None:
        """Kill the server with SIGKILL, and wait until it has ended."""

    @abstractmethod
    def freeze(self) -> None:
        """Suspend the server; its connections stay open."""

    @abstractmethod
    def thaw(self) -> None:
        """Resume the suspended server."""

    @abstractmethod
    def stop(self) -> None:
        """Shut the server down gracefully; only its files remain."""

    @abstractmethod
    def _launch(self) -> None: ...

    @abstractmethod
    def _ended(self) -> bool: ...

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


class Program(Server):
    """A server that runs as a local process.

    :param port: the port that the command configures the server to listen on.
    :param command: the program and its arguments.
    :param log: the file to which its output is appended.
    """

    def __init__(self, port: int, command: Sequence[str], log: Path) -> None:
        super().__init__(port)
        self._command = list(command)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def output(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def kill(self) -> None:
        process = self._running()
        process.kill()
        process.wait()
        self._process = None

    def freeze(self) -> None:
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def _launch(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def __repr__(self) -> str:
        return f"Program({self._command[0]!r})"


class Container(Server):
    """A server that runs in a Docker container.

    :param port: the port of this machine on which the container is published.
    :param docker: the path of the program ``docker``.
    :param options: the arguments of ``docker run``, including the image and the command.
    """

    patience = 300.0  # the image may have to be pulled first

    def __init__(self, port: int, docker: str, options: Sequence[str]) -> None:
        super().__init__(port)
        self._docker = docker
        self._options = list(options)
        self._id: str | None = None

    def output(self) -> str:
        return "" if self._id is None else self._run("logs", self._id)

    def kill(self) -> None:
        self._run("kill", self._started())

    def freeze(self) -> None:
        self._run("pause", self._started())

    def thaw(self) -> None:
        self._run("unpause", self._started())

    def stop(self) -> None:
        if self._id is not None:
            self._run("rm", "--force", "--volumes", self._id)
            self._id = None

    def _launch(self) -> None:
        if self._id is None:
            self._id = self._run("run", "--detach", *self._options).split()[-1]
        else:
            self._run("start", self._id)

    def _ended(self) -> bool:
        return "true" not in self._run("inspect", "--format={{.State.Running}}", self._started())

    def _started(self) -> str:
        assert self._id is not None
        return self._id

    def _run(self, *arguments: str) -> str:
        return subprocess.run(
            [self._docker, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=self.patience,
            check=True,
            text=True,
        ).stdout

    def __repr__(self) -> str:
        return f"Container({self._options[-1]!r})"
