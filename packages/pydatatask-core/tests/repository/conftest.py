"""Stores that fail for real, for the tests of the repositories in files."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a file system of its own that holds 256 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounting.returncode:
        reason = f"a tmpfs cannot be mounted here: {mounting.stderr.strip()}"
        if os.environ.get("PYDATATASK_TEST_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    yield place
    subprocess.run(["umount", str(place)], check=True)


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
