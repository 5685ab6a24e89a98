"""Removal of trees: all contents are removed, but never file systems mounted in them."""

from __future__ import annotations

import errno
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from pydatatask_core.utils.files import (
    escape_mount_point,
    find_mount_point,
    remove_tree,
    unescape_mount_point,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """Return a directory that must not be touched."""
    folder = tmp_path / "precious"
    (folder / "deep").mkdir(parents=True)
    (folder / "file").write_text("years of work")
    (folder / "deep" / "file").write_text("years of work")
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory to remove, with a file in it."""
    folder = tmp_path / "a place"
    folder.mkdir()
    (folder / "file").write_text("")
    return folder


def is_whole(precious: Path) -> bool:
    return [path.name for path in sorted(precious.rglob("*"))] == ["deep", "file", "file"]


def refused(place: Path, point: Path) -> None:
    with pytest.raises(OSError, match="a file system is mounted there") as caught:
        remove_tree(str(place))
    assert (caught.value.errno, caught.value.filename) == (errno.EBUSY, str(point))


def test_a_tree_is_removed_with_all_its_contents(tmp_path: Path, precious: Path) -> None:
    place = tmp_path / "place"
    (place / "locked" / "deep").mkdir(parents=True)
    (place / "locked" / "deep" / "file").write_text("")
    (place / "folder").symlink_to(precious)
    (place / "file").symlink_to(precious / "file")
    (place / "nowhere").symlink_to("nowhere")
    os.mkfifo(place / "fifo")
    os.chmod(place / "locked", 0)
    remove_tree(str(place))
    assert list(tmp_path.iterdir()) == [precious]
    assert is_whole(precious)
    remove_tree(str(place))


def test_a_tree_without_permissions_is_removed(powerless: Path) -> None:
    place = powerless / "place"
    (place / "locked" / "deep").mkdir(parents=True)
    (place / "locked" / "deep" / "file").write_text("")
    (place / "locked" / "file").write_text("")
    for path, mode in ((place / "locked" / "deep", 0o100), (place / "locked", 0), (place, 0o500)):
        os.chmod(path, mode)
    remove_tree(str(place))
    assert list(powerless.iterdir()) == []


def test_only_the_link_to_a_directory_is_removed(tmp_path: Path, precious: Path) -> None:
    (tmp_path / "link").symlink_to(precious)
    remove_tree(str(tmp_path / "link"))
    assert list(tmp_path.iterdir()) == [precious]
    assert is_whole(precious)


def test_a_file_is_removed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    remove_tree(str(tmp_path / "file"))
    assert list(tmp_path.iterdir()) == []


def test_a_tree_that_is_too_deep_for_its_descriptors_raises(tmp_path: Path) -> None:
    """An ordinary OSError is raised, as for any path that cannot be removed."""
    names = ["d"] * 1500
    here = os.open(tmp_path, os.O_RDONLY)
    for name in names:
        os.mkdir(name, dir_fd=here)
        deeper = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    try:
        with pytest.raises(OSError, match="Too many open files"):
            limited(lambda: remove_tree(str(tmp_path / "d")))
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def limited(call: Callable[[], None]) -> None:
    """Call a function with a low limit of file descriptors."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        call()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("name", ["mnt", "with space", "tab\there", "back\\slash", "new\nline"])
def test_a_mount_in_a_tree_stays_with_everything_around_it(
    bind: Callable[[Path, Path], None], place: Path, precious: Path, name: str
) -> None:
    (place / "deep" / name).mkdir(parents=True)
    bind(precious, place / "deep" / name)
    before = sorted(place.rglob("*"))
    refused(place, place / "deep" / name)
    assert sorted(place.rglob("*")) == before
    assert is_whole(precious)


def test_a_tree_that_is_a_mount_point_stays(
    bind: Callable[[Path, Path], None], place: Path, precious: Path
) -> None:
    bind(precious, place)
    refused(place, place)
    assert is_whole(precious)


def test_a_file_that_is_a_mount_point_stays(
    bind: Callable[[Path, Path], None], place: Path, precious: Path
) -> None:
    bind(precious / "file", place / "file")
    refused(place, place / "file")
    assert is_whole(precious)
    assert (precious / "file").read_text() == "years of work"


def test_mounts_on_mounts_stay(
    bind: Callable[[Path, Path], None], tmp_path: Path, place: Path, precious: Path
) -> None:
    (place / "mnt").mkdir()
    (tmp_path / "between" / "inner").mkdir(parents=True)
    bind(tmp_path / "between", place / "mnt")
    bind(precious, place / "mnt" / "inner")
    bind(precious, place / "mnt")
    refused(place, place / "mnt")
    assert is_whole(precious)
    assert (tmp_path / "between" / "inner").is_dir()


def test_a_mount_is_found_through_a_link_to_its_folder(
    bind: Callable[[Path, Path], None], tmp_path: Path, place: Path, precious: Path
) -> None:
    (place / "mnt").mkdir()
    bind(precious, place / "mnt")
    (tmp_path / "link").symlink_to(tmp_path)
    refused(tmp_path / "link" / place.name, place / "mnt")
    assert (place / "file").exists()
    assert is_whole(precious)


@pytest.mark.parametrize("itself", [False, True])
def test_mounts_are_kept_even_if_the_mount_table_lists_none(
    bind: Callable[[Path, Path], None],
    place: Path,
    precious: Path,
    monkeypatch: pytest.MonkeyPatch,
    itself: bool,
) -> None:
    """A mount can appear after the table is read; files outside it may then be removed already."""
    (place / "mnt").mkdir()
    bind(precious, place if itself else place / "mnt")
    with monkeypatch.context() as patching:
        patching.setattr("pydatatask_core.utils.files.MOUNTINFO", "/nonexistent")
        with pytest.raises(OSError, match="busy"):
            remove_tree(str(place))
    assert is_whole(precious)


def test_a_neighbour_with_a_similar_name_does_not_prevent_the_removal(
    bind: Callable[[Path, Path], None], tmp_path: Path, place: Path, precious: Path
) -> None:
    (place / "deep").mkdir()
    neighbour = tmp_path / f"{place.name} too"
    neighbour.mkdir()
    bind(precious, neighbour)
    assert find_mount_point(str(place)) is None
    remove_tree(str(place))
    assert not place.exists()
    assert is_whole(precious)


def test_a_directory_replaced_by_a_link_during_the_removal_is_not_followed(
    tmp_path: Path, place: Path, precious: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "deep").mkdir()
    listed = os.scandir

    def exchange(fd: int) -> object:
        found = listed(fd)
        if (place / "deep").is_dir() and not (place / "deep").is_symlink():
            names = [*found]
            (place / "deep").rename(tmp_path / "moved")
            (place / "deep").symlink_to(precious)
            return Listed(names)
        return found

    monkeypatch.setattr(os, "scandir", exchange)
    remove_tree(str(place))
    assert not place.exists()
    assert (tmp_path / "moved").exists()
    assert is_whole(precious)


class Listed(list[object]):
    """The result of os.scandir, with a list of entries."""

    def __enter__(self) -> Listed:
        return self

    def __exit__(self, *error: object) -> None:
        return


def test_mount_points_are_escaped_as_in_the_mount_table() -> None:
    path = "/a b\tc\nd\\e/\N{SNOWMAN}"
    assert escape_mount_point(path) == b"/a\\040b\\011c\\012d\\134e/" + "\N{SNOWMAN}".encode()
    assert unescape_mount_point(escape_mount_point(path)) == path
