"""SSH servers: OpenSSH's sshd, and asyncssh's embedded server."""

from __future__ import annotations

import getpass
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .finding import free_port, unavailable, used
from .server import Program
from .users import User, ordinary_user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .server import Server

__all__ = ["OF_USERS", "SSHServer", "make_sshd"]

HINT = "sshd is not installed (Debian, Ubuntu: apt-get install openssh-server)"
OF_USERS = ("AuthorizedKeysFile=.ssh/authorized_keys", "StrictModes=yes")
"""Options of sshd that let each unprivileged user log in with a file of authorized keys."""

STANDIN = Path(__file__).with_name("asyncssh_server.py")


@dataclass(frozen=True)
class SSHServer:
    """An SSH server with key authentication, by default for the user that runs the tests.

    :param folder: the folder of its keys and of ``known_hosts``, which contains its host key.
    :param server: the server process, which a test may kill.
    :param what: the name of the server.
    """

    folder: Path
    server: Server
    what: str
    host: str = "127.0.0.1"
    user: str = field(default_factory=getpass.getuser)

    def at(self, host: str, port: int) -> dict[str, Any]:
        """Return arguments of ``asyncssh.connect`` that reach the server through another address.

        :param host: the host of that address.
        :param port: the port of that address.
        """
        known = self.folder / f"known_hosts.{port}"
        known.write_text(f"[{host}]:{port} {(self.folder / 'host.pub').read_text()}")
        return {"host": host, "port": port, "known_hosts": str(known)}

    def of(self, user: User) -> SSHServer:
        """Authorize the key for an unprivileged user, and return the server with that login.

        :param user: the user.
        """
        place = user.home / ".ssh"
        place.mkdir(0o700)
        shutil.copy(self.folder / "key.pub", place / "authorized_keys")
        for path in (place, place / "authorized_keys"):
            shutil.chown(path, user.name, user.name)
        return replace(self, user=user.name)

    @property
    def port(self) -> int:
        """The port on which the server listens."""
        return self.server.port

    @property
    def login(self) -> dict[str, Any]:
        """Arguments of ``asyncssh.connect`` to log in."""
        return {
            "host": self.host,
            "port": self.port,
            "username": self.user,
            "client_keys": [str(self.folder / "key")],
            "known_hosts": str(self.folder / "known_hosts"),
            "config": None,
            "agent_path": None,
        }

    def log(self) -> str:
        """Return the output of the server."""
        return self.server.output()


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHServer]:
    """Yield OpenSSH's server with its default settings, shared by the whole run."""
    found = make_sshd(tmp_path_factory.mktemp("sshd"))
    with found.server:
        used("SSH", f"sshd, {_program()}")
        yield found


@pytest.fixture(scope="session")
def user() -> Iterator[User]:
    """Yield an unprivileged user of this machine, shared by the whole run."""
    with ordinary_user() as found:
        yield found


@pytest.fixture(scope="session")
def sshd_of_user(user: User, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHServer]:
    """Yield OpenSSH's server with the login of an unprivileged user, shared by the whole run."""
    found = make_sshd(tmp_path_factory.mktemp("sshd"), *OF_USERS).of(user)
    with found.server:
        used("SSH as an ordinary user", f"sshd, {_program()}")
        yield found


@pytest.fixture
def new_sshd(tmp_path: Path) -> Iterator[Callable[..., SSHServer]]:
    """Return a function that starts an OpenSSH server with given options for a single test."""
    running: list[SSHServer] = []

    def start(*options: str, host: str = "127.0.0.1", prefix: Sequence[str] = ()) -> SSHServer:
        folder = tmp_path / f"sshd{len(running)}"
        folder.mkdir()
        found = make_sshd(folder, *options, host=host, prefix=prefix)
        found.server.start()
        running.append(found)
        return found

    yield start
    for found in running:
        found.server.stop()


@pytest.fixture(scope="session")
def asyncssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHServer]:
    """Yield asyncssh's server, shared by the whole run."""
    if importlib.util.find_spec("asyncssh") is None:
        unavailable("SSH server of asyncssh", "asyncssh is not installed")
    folder = tmp_path_factory.mktemp("asyncssh")
    port = free_port()
    _make_keys(folder, "127.0.0.1", port)
    program = Program(port, [sys.executable, str(STANDIN), str(port), str(folder)], folder / "log")
    with program:
        yield SSHServer(folder, program, "asyncssh")


def _program() -> str:
    program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if program is None or shutil.which("ssh-keygen") is None:
        unavailable("SSH", HINT)
    return program


def make_sshd(
    folder: Path, *options: str, host: str = "127.0.0.1", prefix: Sequence[str] = ()
) -> SSHServer:
    """Create an OpenSSH server without starting it.

    :param folder: an empty folder for its keys and its log.
    :param options: settings of sshd_config, ``NAME=VALUE``.
    :param host: the address to listen on.
    :param prefix: a command that runs sshd, placed before its own command line.
    """
    program = _program()
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # Debian's sshd does not start without it
    port = free_port()
    _make_keys(folder, host, port)
    settings = [
        *options,  # sshd uses the first value of each setting
        f"HostKey={folder / 'host'}",
        f"ListenAddress={host}",
        f"PidFile={folder / 'pid'}",
        f"AuthorizedKeysFile={folder / 'authorized_keys'}",
        "StrictModes=no",
        "UsePAM=no",
        "PasswordAuthentication=no",
        "KbdInteractiveAuthentication=no",
        "LogLevel=VERBOSE",
        "PermitRootLogin=yes",
    ]
    if not any(option.startswith("Subsystem") for option in options):
        settings.append("Subsystem=sftp internal-sftp")
    command = [*prefix, program, "-D", "-e", "-f", "/dev/null", "-p", str(port)]
    for setting in settings:
        command += ["-o", setting]
    server = Program(port, command, folder / "log")
    server.host = host
    return SSHServer(folder, server, "sshd", host)


def _make_keys(folder: Path, host: str, port: int) -> None:
    for name in ("host", "key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        if shutil.which("ssh-keygen") is None:
            unavailable("SSH", HINT)
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    shutil.copy(folder / "key.pub", folder / "authorized_keys")
    trusted = (folder / "host.pub").read_text()
    (folder / "known_hosts").write_text(f"[{host}]:{port} {trusted}")
