"""Checks of the constructor arguments of repositories in a folder."""

from __future__ import annotations

import os

from pydatatask_core.errors import RepositoryConfigurationError

from .temporary_names import NAME_MAX

__all__ = ["check_basedir", "check_extension", "check_flags"]


def check_basedir(owner: str, basedir: object) -> str:
    """Return the folder's path as a string, unchanged, or raise.

    :param owner: the class name for messages.
    :param basedir: the argument.
    """
    path = os.fspath(basedir) if isinstance(basedir, os.PathLike) else basedir
    if not isinstance(path, str):
        raise TypeError(f"{owner}: the folder must be a str or a PathLike of str, not {basedir!r}")
    if not path:
        raise RepositoryConfigurationError(
            f"{owner}: the path of the folder is empty; use '.' for the working directory"
        )
    if "\0" in path:
        raise RepositoryConfigurationError(f"{owner}: the folder {path!r} contains a NUL")
    return path


def check_extension(owner: str, extension: object) -> None:
    """Raise if the extension cannot be the end of a file name."""
    if not isinstance(extension, str):
        raise TypeError(f"{owner}: extension must be a str, not {extension!r}")
    for wrong, name in (("/", "a slash"), ("\0", "a NUL")):
        if wrong in extension:
            raise RepositoryConfigurationError(
                f"{owner}: extension {extension!r} contains {name}, which file names cannot contain"
            )
    if len(os.fsencode(extension)) >= NAME_MAX:
        raise RepositoryConfigurationError(
            f"{owner}: extension has {len(os.fsencode(extension))} bytes, which leaves no room for "
            f"a job id in a file name of at most {NAME_MAX} bytes"
        )


def check_flags(owner: str, **flags: object) -> None:
    """Raise for values other than True and False, such as an argument in the wrong position."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"{owner}: {name} must be True or False, not {value!r}")
