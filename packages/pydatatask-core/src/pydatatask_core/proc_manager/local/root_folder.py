"""The choice of the folder that contains local processes. Everything here blocks briefly."""

from __future__ import annotations

import os
import stat

from pydatatask_core.errors import ProcessManagerError, describe
from pydatatask_core.utils.ownership import state_folder

from .private_folder import root_trouble

__all__ = ["DEFAULT_ROOT", "choose_root"]

DEFAULT_ROOT = "/tmp/pydatatask"
"""The documented default, a name that any user of the machine can take."""


def choose_root(private: str) -> str:
    """Return the folder to use as the default for this user.

    This is the default, unless it belongs to another user or is not safe. Then it is a folder with
    the user id in its name, and if that name is taken as well, one in the user's home. The first of
    them that contains the private folder of the app stays in use, even if others become usable.

    :param private: the name of the private folder of the app.
    :raises ProcessManagerError: if none of them can be used.
    """
    if os.path.lexists(f"{DEFAULT_ROOT}/{private}") and _trouble(DEFAULT_ROOT, private) is None:
        return DEFAULT_ROOT  # the common case, without a look-up of the user's home
    user = os.geteuid()
    roots = [DEFAULT_ROOT, f"{DEFAULT_ROOT}-{user}"]
    if (at_home := state_folder("processes")) is not None:
        roots.append(at_home)
    troubles = {root: _trouble(root, private) for root in roots}
    usable = [root for root, trouble in troubles.items() if trouble is None]
    if usable:
        return next((it for it in usable if os.path.lexists(f"{it}/{private}")), usable[0])
    reasons = "; ".join(f"{root!r}: {trouble}" for root, trouble in troubles.items())
    raise ProcessManagerError(
        f"there is no safe folder for local processes of user {user}: {reasons}. Set `local_path` "
        "of the manager to a folder of your own"
    )


def _trouble(root: str, private: str) -> str | None:
    trouble = root_trouble(root)
    if trouble is not None or not os.path.lexists(root):
        return trouble
    place = os.path.join(root, private)
    try:
        status = os.lstat(place)
    except FileNotFoundError:
        may_write = os.access(root, os.W_OK | os.X_OK, effective_ids=True)
        return None if may_write else f"user {os.geteuid()} may not write to it"
    except OSError as e:
        return describe(e)
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
        return None  # its permissions are corrected before it is used
    return (
        f"{private!r} in it is not a directory of user {os.geteuid()} (mode "
        f"{stat.S_IMODE(status.st_mode):04o}, owner {status.st_uid})"
    )
