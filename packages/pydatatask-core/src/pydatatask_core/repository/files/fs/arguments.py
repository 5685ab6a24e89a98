"""What the constructors of repositories in a folder refuse."""

from __future__ import annotations

import os

from pydatatask_core.errors import RepositoryConfigurationError

from .temporary_names import NAME_MAX

__all__ = ["check_basedir", "check_extension", "check_flags"]


def check_basedir(owner: str, basedir: object) -> str:
    """Give the folder's path as a string, as it was spelled.

    :param owner: the class to name.
    :param basedir: what was given as the folder.
    """
    path = os.fspath(basedir) if isinstance(basedir, os.PathLike) else basedir
    if not isinstance(path, str):
        raise TypeError(f"{owner}: the folder is a str or an os.PathLike of str, not {basedir!r}")
    if not path:
        raise RepositoryConfigurationError(
            f"{owner}: the path of the folder is empty; for the working directory say '.'"
        )
    if "\0" in path:
        raise RepositoryConfigurationError(f"{owner}: the folder {path!r} contains a NUL")
    return path


def check_extension(owner: str, extension: object) -> None:
    """Refuse what cannot be the end of a file name."""
    if not isinstance(extension, str):
        raise TypeError(f"{owner}: extension is a str, not {extension!r}")
    for wrong, name in (("/", "a slash"), ("\0", "a NUL")):
        if wrong in extension:
            raise RepositoryConfigurationError(
                f"{owner}: extension {extension!r} contains {name}, which no file name does"
            )
    if len(os.fsencode(extension)) >= NAME_MAX:
        raise RepositoryConfigurationError(
            f"{owner}: extension has {len(os.fsencode(extension))} bytes, which leaves no room for "
            f"a job id in a file name of {NAME_MAX}"
        )


def check_flags(owner: str, **flags: object) -> None:
    """Refuse anything but True and False, an argument in the wrong place for instance."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise TypeError(f"{owner}: {name} is True or False, not {value!r}")
