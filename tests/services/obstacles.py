"""Obstacles to a removal: mounts, permissions, and files that cannot be changed.

Each is put away when its test ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pydatatask_core.utils.files import find_mount_point

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["bind", "freeze", "powerless"]

NOBODY = 65534


def _unavailable(reason: str) -> None:
    if os.environ.get("PYDATATASK_TEST_REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def bind(tmp_path: Path) -> Iterator[Callable[[Path, Path], None]]:
    """Return a function that mounts a directory or file at another place below ``tmp_path``.

    Whatever is mounted below ``tmp_path`` when the test ends, also by its jobs, is unmounted.
    """

    def mount(source: Path, target: Path) -> None:
        done = subprocess.run(
            ["mount", "--bind", str(source), str(target)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            _unavailable(f"nothing can be mounted here: {done.stderr.strip()}")

    (tmp_path / "tried").mkdir()
    mount(tmp_path / "tried", tmp_path / "tried")
    subprocess.run(["umount", str(tmp_path / "tried")], check=True)
    (tmp_path / "tried").rmdir()
    yield mount
    while (point := find_mount_point(str(tmp_path))) is not None:
        subprocess.run(["umount", "--lazy", point], check=True)


@pytest.fixture
def freeze(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Return a function that makes a file or directory below ``tmp_path`` immutable.

    Whatever is immutable below ``tmp_path`` when the test ends, also by its jobs, is not any more.
    """

    def chattr(path: Path) -> None:
        done = subprocess.run(
            ["chattr", "+i", str(path)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            _unavailable(f"nothing can be made immutable here: {done.stderr.strip()}")

    if shutil.which("chattr") is None:
        _unavailable("there is no program `chattr`")
    (tmp_path / "tried").touch()
    chattr(tmp_path / "tried")
    subprocess.run(["chattr", "-i", str(tmp_path / "tried")], check=True)
    (tmp_path / "tried").unlink()
    yield chattr
    subprocess.run(["chattr", "-R", "-f", "-i", str(tmp_path)], check=False)


@pytest.fixture
def powerless() -> Iterator[Path]:
    """Give a folder of a user whom permissions bind, and be that user until the test ends."""
    folder = Path(tempfile.mkdtemp())
    is_root, groups = os.geteuid() == 0, os.getgroups()
    if is_root:
        os.chown(folder, NOBODY, NOBODY)
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    yield folder
    if is_root:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            Path(parent, name).chmod(0o700)
    shutil.rmtree(folder)
