"""The errors of this package, and the translation of the client library's errors to them."""

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
    """The machine does not answer, so the state of its jobs is unknown."""


class SSHLoginError(ProcessManagerError, PermissionError):
    """The machine refuses the login, or has an unexpected host key; retrying does not help."""


class CommandError(ProcessManagerError):
    """A command failed on the machine; the text is its error message."""


class AnswerError(CommandError):
    """The answer to one request is not valid; this says nothing about other requests."""


class OutputError(CommandError):
    """An output of a job is not a regular file any more, so the job has failed."""


class UncertainStartError(TaskError, ConnectionError):
    """The connection broke while a job was started, so it may be running; it has to be checked."""


@contextmanager
def ssh_errors(action: str, host: str) -> Iterator[None]:
    """Convert errors of the client library to ours, with the operation, the machine and the cause.

    A missing file becomes a ``FileNotFoundError``.

    :param action: the operation, as an infinitive ("create the directory '/tmp/x'").
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
    """Convert the error of a failed connection attempt to one of ours, with a remedy.

    :param error: the error of the client library.
    :param host: the name of the machine.
    """
    if isinstance(error, asyncssh.PermissionDenied):
        return SSHLoginError(
            f"{host} refuses the login ({_said(error)}): check the user name, and that the machine "
            "accepts one of the keys offered (from the agent, from ~/.ssh, or passed as "
            "`client_keys`) or the password"
        )
    if isinstance(error, _OF_LOGIN):
        return SSHLoginError(f"no secure connection to {host}: {_said(error)}")
    return SSHConnectionError(f"{host} does not answer: {_said(error)}")


def _said(error: BaseException) -> str:
    text = " ".join(describe(error).split())
    return text.rstrip(".") or type(error).__name__
