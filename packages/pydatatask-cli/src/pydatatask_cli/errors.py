"""Errors of the command line."""

from __future__ import annotations

from pydatatask_core.errors import PydatataskError

__all__ = ["CommandLineError", "ExitStatus"]


class CommandLineError(PydatataskError):
    """A command refers to something that does not exist, or cannot be executed."""


class ExitStatus(Exception):
    """Ends the program with a status and without a message.

    :param status: the exit status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status
