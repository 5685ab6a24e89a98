"""Other users of a machine can neither hold nor replace the locks of a user."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from pydatatask_core import (
    InProcessMetadataRepository,
    InProcessSyncTask,
    Pipeline,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import PipelineLockedError
from pydatatask_core.pipeline import lock

from .fakes import quiet

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _private_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locks").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "locks"))
    monkeypatch.setattr("tempfile.tempdir", None)


class Elsewhere(InProcessMetadataRepository):
    """A repository that looks like one on a server to the lock."""

    @property
    def identity(self) -> str:
        return "server/database/collection"


def remote_pipeline() -> Pipeline:
    return Pipeline([InProcessSyncTask("t", Elsewhere(), func=quiet)])


def pipeline(folder: Path) -> Pipeline:
    return Pipeline([InProcessSyncTask("t", YamlMetadataFileRepository(folder), func=quiet)])


ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs to give files to other users")
NEIGHBOUR = 12345


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in the user's home that is used if the first one is taken."""
    folder = tmp_path / "home" / "locks"
    monkeypatch.setattr(lock, "state_folder", lambda name: str(folder))
    return folder


def _take(tmp_path: Path, kind: str) -> Path:
    """Create the folder for locks as another user."""
    place = tmp_path / "locks" / f"pydatatask-locks-{os.getuid()}"
    (tmp_path / "locks").chmod(0o1777)
    if kind == "directory":
        place.mkdir(mode=0o777)
    elif kind == "file":
        place.write_text("")
    else:
        place.symlink_to(tmp_path)
    os.lchown(place, NEIGHBOUR, NEIGHBOUR)
    return place


@ROOT
@pytest.mark.parametrize("kind", ["directory", "file", "link"])
async def test_a_lock_folder_of_another_user_does_not_prevent_drivers(
    tmp_path: Path, home: Path, kind: str
) -> None:
    place = _take(tmp_path, kind)
    async with remote_pipeline():
        assert len(os.listdir(home)) == 1
        with pytest.raises(PipelineLockedError, match="another pipeline of this process"):
            await remote_pipeline().open()
    assert os.lstat(place).st_uid == NEIGHBOUR


@ROOT
async def test_a_lock_folder_that_another_user_removes_meanwhile_admits_no_second_driver(
    tmp_path: Path, home: Path
) -> None:
    place = _take(tmp_path, "file")
    async with remote_pipeline():
        os.unlink(place)
        with pytest.raises(PipelineLockedError, match="another pipeline of this process"):
            await remote_pipeline().open()
    async with remote_pipeline():
        assert os.listdir(place) == os.listdir(home)


async def test_a_folder_for_temporary_files_that_others_may_change_is_not_used(
    tmp_path: Path, home: Path
) -> None:
    os.chmod(tmp_path / "locks", 0o777)
    async with remote_pipeline():
        assert len(os.listdir(home)) == 1


@ROOT
async def test_if_no_folder_is_safe_the_error_has_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _take(tmp_path, "directory")
    monkeypatch.setattr(lock, "state_folder", lambda name: None)
    with pytest.raises(PipelineLockedError, match="set TMPDIR to another folder"):
        await remote_pipeline().open()


@pytest.mark.parametrize(
    ("folder", "lock_file"),
    [(0o700, 0o600), (0o755, 0o600), (0o775, 0o660), (0o777, 0o666), (0o1777, 0o666)],
)
async def test_only_users_with_write_access_to_the_folder_can_open_its_lock(
    tmp_path: Path, folder: int, lock_file: int
) -> None:
    os.mkdir(tmp_path / "done")
    os.chmod(tmp_path / "done", folder)

    async with pipeline(tmp_path / "done"):
        [name] = os.listdir(tmp_path / "done")
        assert stat.S_IMODE(os.stat(tmp_path / "done" / name).st_mode) == lock_file


@ROOT
async def test_a_lock_file_left_by_root_does_not_lock_out_the_owner_of_the_folder(
    tmp_path: Path,
) -> None:
    os.mkdir(tmp_path / "done")
    os.chown(tmp_path / "done", NEIGHBOUR, NEIGHBOUR)

    async with pipeline(tmp_path / "done"):
        [name] = os.listdir(tmp_path / "done")
        assert os.stat(tmp_path / "done" / name).st_uid == NEIGHBOUR
