"""Images for containerd, built from files of this machine without a registry."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["BUSYBOX", "PAUSE", "busybox", "python"]

BUSYBOX = "localhost/busybox:1"
PAUSE = "localhost/pause:1"

_SHELL = "/bin/busybox"
_EPOCH = "2020-01-01T00:00:00Z"
_WAIT = "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"


def busybox(target: Path) -> None:
    """Create the image of a shell, and the pause image that each pod needs.

    :param target: the folder for the archives.
    """
    applets = subprocess.run([_SHELL, "--list"], capture_output=True, text=True, check=True).stdout
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        _folders(tar, "bin", "tmp", "etc")
        tar.add(_SHELL, "bin/busybox", filter=_plain)
        for library in libraries(_SHELL):
            tar.add(os.path.realpath(library), library.lstrip("/"), filter=_plain)
        for applet in applets.split():
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
    for name, command in ((BUSYBOX, ["/bin/sh"]), (PAUSE, ["/bin/sh", "-c", _WAIT])):
        file = target / f"{name.partition('/')[2].partition(':')[0]}.tar"
        _write(file, name, layer.getvalue(), command)


def libraries(program: str) -> list[str]:
    """Return the paths of the shared libraries of a program; none if it is linked statically."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return sorted({word for word in told.split() if word.startswith("/")})


def python(target: Path, name: str, files: Iterable[tuple[Path, str]]) -> Path:
    """Create an image from files of this machine, and return the path of its archive.

    :param target: the folder for the archive.
    :param name: the name of the image.
    :param files: files and folders, each with its path in the image.
    """
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        _folders(tar, "tmp", "etc")
        for source, place in files:
            tar.add(source, place.lstrip("/"), filter=_plain)
    file = target / "python.tar"
    _write(file, name, layer.getvalue(), ["/bin/sh"])
    return file


def _folders(tar: tarfile.TarFile, *names: str) -> None:
    for name in names:
        folder = tarfile.TarInfo(name)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
        tar.addfile(folder)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if member.name.endswith((".pyc", "__pycache__")):
        return None
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _write(file: Path, name: str, layer: bytes, command: list[str]) -> None:
    """Write an archive with one layer, in the format of ``docker save``."""
    digest = hashlib.sha256(layer).hexdigest()
    path = "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": _EPOCH,
        "config": {"Env": [path], "Cmd": command},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": _EPOCH}],
    }
    encoded = json.dumps(config).encode()
    identity = hashlib.sha256(encoded).hexdigest()
    manifest = [
        {"Config": f"{identity}.json", "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}
    ]
    with tarfile.open(file, "w") as tar:
        for member, content in (
            (f"{identity}.json", encoded),
            (f"{digest}/layer.tar", layer),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            about = tarfile.TarInfo(member)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
