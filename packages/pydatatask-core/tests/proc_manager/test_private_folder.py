"""The folders in which processes run: safe to share, private, and removed with any contents."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pydatatask_core import LocalLinuxManager
from pydatatask_core.errors import ProcessManagerError

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs to change the owner of files")

SOMEBODY = 12345


async def refused(root: Path, match: str) -> None:
    with pytest.raises(ProcessManagerError, match=match):
        await LocalLinuxManager("app", root).validate()


async def test_a_root_that_the_file_system_cannot_hold_is_refused() -> None:
    await refused(
        Path("/proc/pydatatask"), r"could not create the folder '/proc/pydatatask/app-\d+'"
    )


@ROOT
async def test_a_root_of_another_user_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    os.chmod(root, 0o1777)
    os.chown(root, SOMEBODY, SOMEBODY)
    await refused(root, f"belongs to user {SOMEBODY}")


@ROOT
async def test_a_private_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    manager = LocalLinuxManager("app", tmp_path / "root")
    await manager.validate()
    os.chown(manager.basedir, SOMEBODY, SOMEBODY)
    await refused(tmp_path / "root", "belongs to another user")


@ROOT
async def test_a_link_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "root"
    root.symlink_to(tmp_path / "elsewhere")
    os.lchown(root, SOMEBODY, SOMEBODY)
    await refused(root, "symbolic link")


async def test_a_link_in_place_of_the_private_folder_is_refused(tmp_path: Path) -> None:
    manager = LocalLinuxManager("app", tmp_path / "root")
    (tmp_path / "root").mkdir()
    (tmp_path / "victim").mkdir()
    manager.basedir.symlink_to(tmp_path / "victim")
    await refused(tmp_path / "root", "not a directory")


async def test_a_root_from_which_others_may_remove_files_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    os.chmod(root, 0o777)
    await refused(root, r"chmod \+t")


async def test_a_file_in_place_of_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    await refused(tmp_path / "root", "not a directory")


async def test_a_root_that_cannot_be_created_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    await refused(tmp_path / "file" / "root", "could not create the folder")


async def test_the_root_is_shared_and_its_folders_are_private(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        manager = LocalLinuxManager("app", tmp_path / "root")
        await manager.validate()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "root").stat().st_mode) == 0o1777
    assert stat.S_IMODE(manager.basedir.stat().st_mode) == 0o700


async def test_a_private_folder_is_made_private_again(tmp_path: Path) -> None:
    manager = LocalLinuxManager("app", tmp_path / "root")
    await manager.validate()
    os.chmod(manager.basedir, 0o755)
    await manager.validate()
    assert stat.S_IMODE(manager.basedir.stat().st_mode) == 0o700


async def test_a_link_of_the_user_may_be_the_root(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "elsewhere")
    await LocalLinuxManager("app", tmp_path / "root").validate()


@pytest.mark.parametrize("app", ["../x", "..", ".", "a/b", "a b", "\N{SNOWMAN}", "a%2Fb"])
async def test_any_app_has_a_folder_of_its_own(tmp_path: Path, app: str) -> None:
    manager = LocalLinuxManager(app, tmp_path / "root")
    await manager.validate()
    assert manager.basedir.parent == tmp_path / "root"
    assert [path.name for path in (tmp_path / "root").iterdir()] == [manager.basedir.name]
    assert manager.basedir != LocalLinuxManager("a_b", tmp_path / "root").basedir


def test_an_empty_app_is_refused() -> None:
    with pytest.raises(ProcessManagerError, match="app"):
        LocalLinuxManager("")


async def test_a_proc_of_another_pid_namespace_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process ids identify other processes here."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    await refused(tmp_path / "root", "those of another one")
