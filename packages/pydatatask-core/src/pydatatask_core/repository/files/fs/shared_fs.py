"""Whether a folder is on a file system that other machines write to as well."""

from __future__ import annotations

import os

from .stamp import type_of_device

__all__ = ["VISIBILITY_DELAY_SECONDS", "is_shared", "is_shared_type"]

VISIBILITY_DELAY_SECONDS = 60.0
"""How long a client of a shared file system may not see a file that another machine has written.

NFS keeps what it knows of a folder for up to ``acdirmax``, 60 seconds by default."""

_SHARED_TYPES = frozenset(
    (
        "9p",
        "acfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "dvs",
        "fuse",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs3",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "prl_fs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
        "wekafs",
    )
)

_LOCAL_FUSE_TYPES = frozenset(
    ("fuse.fuse-overlayfs", "fuse.lxcfs", "fuse.mergerfs", "fuse.portal", "fuse.unionfs")
)


def is_shared(folder: str) -> bool:
    """Return whether a folder is on a shared or remote file system, by the file system's type.

    :param folder: its path; of a folder that does not exist the next one above counts.
    :return: False as well if the system does not tell the type.
    """
    path = os.path.abspath(folder)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return is_shared_type(type_of_device(os.stat(path).st_dev) or "")


def is_shared_type(name: str) -> bool:
    """Return whether a type of file systems is one that other machines write to as well.

    :param name: the type as the kernel names it, ``nfs4`` or ``fuse.sshfs`` for instance.
    """
    if name.startswith("fuse."):
        return name not in _LOCAL_FUSE_TYPES
    return name in _SHARED_TYPES
