"""Detection of file systems that other machines write to as well."""

from __future__ import annotations

import os

from pydatatask_core.utils.file_systems import type_of_device

__all__ = ["VISIBILITY_DELAY_SECONDS", "is_shared", "is_shared_type"]

VISIBILITY_DELAY_SECONDS = 60.0
"""Seconds for which a client of a shared file system may not see a file of another machine.

NFS caches the content of a folder for up to ``acdirmax``, 60 seconds by default."""

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
    """Return True if a folder is on a shared or remote file system, according to its type.

    :param folder: its path; if it does not exist, its deepest existing parent is checked.
    :return: False if the type is unknown.
    """
    path = os.path.abspath(folder)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return is_shared_type(type_of_device(os.stat(path).st_dev) or "")


def is_shared_type(name: str) -> bool:
    """Return True if a type of file system is shared with other machines.

    :param name: the type in the kernel's notation, such as ``nfs4`` or ``fuse.sshfs``.
    """
    if name.startswith("fuse."):
        return name not in _LOCAL_FUSE_TYPES
    return name in _SHARED_TYPES
