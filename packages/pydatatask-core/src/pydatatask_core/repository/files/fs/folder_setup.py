"""Creation of a folder, with a precise reason if it is unusable."""

from __future__ import annotations

import errno
import os

from .atomic_file import make_folder
from .locking import PROBE
from .temporary_names import temporary_name

__all__ = ["prepare_folder"]


def prepare_folder(folder: str, durable: bool) -> str | None:
    """Create a folder if it is missing, and check that it can be listed and written to.

    This is checked by doing it, because permission bits are not reliable with access lists,
    read-only mounts, quotas or a superuser.

    :param folder: its path.
    :param durable: whether the folder must survive a power failure.
    :returns: the problem, or None.
    """
    try:
        make_folder(folder, durable)
    except OSError as e:
        return _describe_creation_error(folder, e)
    try:
        os.scandir(folder).close()
    except OSError as e:
        return f"the folder {folder!r} cannot be listed: {_describe_error(e)}"
    probe = os.path.join(folder, temporary_name(PROBE))
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        os.unlink(probe)
    except OSError as e:
        return f"the folder {folder!r} cannot be written to: {_describe_error(e)}"
    return None


def _describe_creation_error(folder: str, error: OSError) -> str:
    above = os.path.abspath(folder)
    while not os.path.lexists(above) and os.path.dirname(above) != above:
        above = os.path.dirname(above)
    if os.path.islink(above) and not os.path.exists(above):
        return f"{above!r} is a symbolic link to {os.readlink(above)!r}, which does not exist"
    if not os.path.isdir(above):
        return f"{above!r} is a file; a folder is needed there"
    return f"the folder {folder!r} cannot be created in {above!r}: {_describe_error(error)}"


def _describe_error(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"user {os.geteuid()} does not have the permission"
    if error.errno == errno.EROFS:
        return "its file system is read-only"
    return error.strerror or str(error)
