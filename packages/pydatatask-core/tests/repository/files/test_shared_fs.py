"""Detection of file systems that other machines can write to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import (
    FileRepository,
    InProcessMetadataRepository,
    RelatedItemRepository,
    YamlMetadataFileRepository,
)
from pydatatask_core.repository.files.fs.shared_fs import is_shared, is_shared_type
from pydatatask_core.utils import file_systems

if TYPE_CHECKING:
    from pathlib import Path

SHARED = ["nfs", "nfs4", "cifs", "smb3", "lustre", "ceph", "9p", "virtiofs", "fuse.sshfs"]
LOCAL = ["ext4", "xfs", "tmpfs", "overlay", "zfs", "fuseblk", "fuse.fuse-overlayfs", ""]

LINE = "36 35 {number} / {point} rw,relatime shared:1 - {kind} server:/export - x rw\n"


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that fakes the file system type of the test's folder."""

    def mount(kind: str) -> None:
        device = tmp_path.stat().st_dev
        lines = LINE.format(number="9999:1", point="/other", kind="ext4")
        number = f"{os.major(device)}:{os.minor(device)}"
        lines += LINE.format(number=number, point="/a\\040b", kind=kind)
        (tmp_path / "mountinfo").write_text(lines)
        monkeypatch.setattr(file_systems, "MOUNTS", str(tmp_path / "mountinfo"))

    return mount


@pytest.mark.parametrize("kind", SHARED)
def test_network_file_systems_are_shared(kind: str) -> None:
    assert is_shared_type(kind)


@pytest.mark.parametrize("kind", LOCAL)
def test_local_file_systems_are_not_shared(kind: str) -> None:
    assert not is_shared_type(kind)


@pytest.mark.parametrize(("kind", "shared"), [("nfs4", True), ("ext4", False)])
def test_the_file_system_of_the_folder_decides(
    tmp_path: Path, mounted: Any, kind: str, shared: bool
) -> None:
    mounted(kind)
    (tmp_path / "link").symlink_to(tmp_path)
    assert is_shared(str(tmp_path)) is shared
    assert is_shared(str(tmp_path / "link" / "not" / "there" / "yet")) is shared


def test_file_systems_of_the_kernel_are_known_by_their_type() -> None:
    assert not is_shared("/proc/self")


def test_without_a_mount_table_no_folder_is_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_systems, "MOUNTS", str(tmp_path / "absent"))
    assert not is_shared(str(tmp_path))


async def test_repositories_and_views_report_the_visibility_delay(
    tmp_path: Path, mounted: Any
) -> None:
    repo, names = FileRepository(tmp_path / "out"), YamlMetadataFileRepository(tmp_path / "names")
    memory = InProcessMetadataRepository()
    mounted("xfs")
    assert await repo.visibility_delay() == 0
    assert await RelatedItemRepository(repo, names).visibility_delay() == 0
    mounted("nfs4")
    assert await repo.visibility_delay() == 60
    assert await RelatedItemRepository(repo, names).visibility_delay() == 60
    assert await (memory | repo).visibility_delay() == 60
    assert await memory.visibility_delay() == 0
