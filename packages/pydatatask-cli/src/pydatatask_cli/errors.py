"""What is wrong with what the user typed."""

from __future__ import annotations

from pydatatask_core.errors import PydatataskError

__all__ = ["CommandLineError", "ExitStatus"]


class CommandLineError(PydatataskError):
    """A command was asked for something that does not exist or cannot be done."""


class ExitStatus(Exception):
    """Ends the program with a status, without another word.

    :param status: the exit status.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status
