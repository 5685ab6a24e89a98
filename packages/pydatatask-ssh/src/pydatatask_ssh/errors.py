"""The edge between the client library's errors and pydatatask's own."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncssh

from pydatatask_core.errors import ProcessManagerError, PydatataskError, TaskError, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "AnswerError",
    "CommandError",
    "OutputError",
    "SSHConnectionError",
    "SSHLoginError",
    "UncertainStartError",
    "connect_error",
    "ssh_errors",
]

_LOST = (
    asyncssh.ConnectionLost,
    asyncssh.ChannelOpenError,
    asyncssh.SFTPConnectionLost,
    asyncssh.SFTPNoConnection,
)
_OF_LOGIN = (
    asyncssh.HostKeyNotVerifiable,
    asyncssh.PermissionDenied,
    asyncssh.KeyExchangeFailed,
    asyncssh.IllegalUserName,
    asyncssh.KeyImportError,
    asyncssh.KeyEncryptionError,
)


class SSHConnectionError(ProcessManagerError, ConnectionError):
    """The machine does not answer, so nothing is known of what runs there."""


class SSHLoginError(ProcessManagerError, PermissionError):
    """The machine refuses the login, or is not the one that it should be; trying again is idle."""


class CommandError(ProcessManagerError):
    """A command failed on the machine; the text is what it said there."""


class AnswerError(CommandError):
    """The answer to one request is not one; nothing follows from it for any other request."""


class OutputError(CommandError):
    """An output of a job is not a regular file any more, so the job has failed."""


class UncertainStartError(TaskError, ConnectionError):
    """The connection broke when a job was started, so it may run; that is to be looked up."""


@contextmanager
def ssh_errors(action: str, host: str) -> Iterator[None]:
    """Raise an error of the client library as one that says what was attempted, where, and why.

    A file that is not there becomes a ``FileNotFoundError``.

    :param action: what is attempted, as an infinitive ("make the directory '/tmp/x'").
    :param host: the name of the machine.
    """
    try:
        yield
    except asyncssh.SFTPNoSuchFile as e:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{host}: {action}") from e
    except (PydatataskError, FileNotFoundError):
        raise
    except (*_LOST, ConnectionError) as e:
        raise SSHConnectionError(f"could not {action} on {host}: {_said(e)}") from e
    except (asyncssh.Error, OSError) as e:
        kind = (
            SSHConnectionError if isinstance(e, asyncssh.DisconnectError) else ProcessManagerError
        )
        raise kind(f"could not {action} on {host}: {_said(e)}") from e


def connect_error(error: Exception, host: str) -> ProcessManagerError:
    """Make of a failure to connect an error of ours that says what to do.

    :param error: what the client library raised.
    :param host: the name of the machine.
    """
    if isinstance(error, asyncssh.PermissionDenied):
        return SSHLoginError(
            f"{host} refuses the login ({_said(error)}): check the user name, and that one of the "
            "keys offered (of the agent, of ~/.ssh, or given as `client_keys`) or the password is "
            "accepted there"
        )
    if isinstance(error, _OF_LOGIN):
        return SSHLoginError(f"no secure connection to {host}: {_said(error)}")
    return SSHConnectionError(f"{host} does not answer: {_said(error)}")


def _said(error: BaseException) -> str:
    text = " ".join(describe(error).split())
    return text.rstrip(".") or type(error).__name__
