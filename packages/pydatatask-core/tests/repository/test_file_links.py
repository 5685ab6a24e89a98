"""``follow_links=False``: symbolic links in a folder are neither followed nor members."""

from __future__ import annotations

import os
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import (
    DirectoryRepository,
    FileRepository,
    JsonMetadataFileRepository,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import JobNotFoundError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

FILES = [FileRepository, YamlMetadataFileRepository, JsonMetadataFileRepository]
METADATA = [YamlMetadataFileRepository, JsonMetadataFileRepository]
CASES = pytest.mark.parametrize("case_insensitive", [False, True])


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return a file, valid as YAML and as JSON, as the target of a link in the folder."""
    path = tmp_path / "secret"
    path.write_text('"top secret"')
    return path


def linked(kind: Any, tmp_path: Path, target: Path, **options: Any) -> Any:
    """Return a repository in whose folder ``a`` is a link and ``b`` is a value."""
    repo = kind(tmp_path / "store", **options)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / f"a{repo.extension}").symlink_to(target)
    if kind is DirectoryRepository:
        (tmp_path / "store" / "b").mkdir()
    else:
        (tmp_path / "store" / f"b{repo.extension}").write_text("1")
    return repo


def is_link(path: Path) -> bool:
    return path.is_symlink()


def is_unchanged(secret: Path) -> bool:
    return secret.read_text() == '"top secret"'


@pytest.mark.parametrize("kind", FILES)
@CASES
async def test_links_to_files_are_followed_by_default(
    tmp_path: Path, secret: Path, kind: Any, case_insensitive: bool
) -> None:
    repo = linked(kind, tmp_path, secret, case_insensitive=case_insensitive)

    assert await repo.keys() == {"a", "b"}
    assert await repo.contains("a")
    async with await repo.open("a", "r") as stream:
        assert await stream.read() == '"top secret"'


@pytest.mark.parametrize("kind", FILES)
@CASES
async def test_a_link_to_a_file_is_not_a_member_and_not_opened(
    tmp_path: Path, secret: Path, kind: Any, case_insensitive: bool
) -> None:
    repo = linked(kind, tmp_path, secret, case_insensitive=case_insensitive, follow_links=False)

    assert await repo.keys() == {"b"}
    assert [job async for job in repo] == ["b"]
    assert not await repo.contains("a")
    assert await repo.contains("b")
    with pytest.raises(JobNotFoundError):
        await repo.open("a", "rb")
    with pytest.raises(JobNotFoundError):
        async with repo.local_file("a", "r"):
            pass


@pytest.mark.parametrize("kind", FILES)
@CASES
async def test_a_link_to_a_file_is_not_deleted_but_replaced_by_a_new_value(
    tmp_path: Path, secret: Path, kind: Any, case_insensitive: bool
) -> None:
    repo = linked(kind, tmp_path, secret, case_insensitive=case_insensitive, follow_links=False)

    await repo.delete("a")
    place = tmp_path / "store" / f"a{repo.extension}"
    assert is_link(place)

    async with await repo.open("a", "w") as stream:
        await stream.write("2")

    assert not is_link(place)
    assert await repo.keys() == {"a", "b"}
    assert is_unchanged(secret)


@pytest.mark.parametrize("kind", METADATA)
async def test_metadata_behind_a_link_are_absent_and_dumping_replaces_the_link(
    tmp_path: Path, secret: Path, kind: Any
) -> None:
    repo = linked(kind, tmp_path, secret, follow_links=False)

    assert await repo.info("a") == {}
    assert await repo.info_many(["a", "b"]) == {"a": {}, "b": 1}
    assert await repo.info_all() == {"b": 1}

    await repo.dump("a", {"x": 1})

    assert await repo.info_all() == {"a": {"x": 1}, "b": 1}
    assert is_unchanged(secret)


async def test_info_never_returns_the_path_of_a_link(tmp_path: Path, secret: Path) -> None:
    files = linked(FileRepository, tmp_path, secret, follow_links=False)

    assert await files.info("b") == str(tmp_path / "store" / "b")
    assert await files.info("absent") == str(tmp_path / "store" / "absent")
    for look in (files.info("a"), files.info_many(["b", "a"])):
        with pytest.raises(StoreError, match="follow_links=False"):
            await look


@pytest.mark.parametrize("discard_empty", [False, True])
async def test_a_link_to_a_directory_is_not_a_member_and_not_entered(
    tmp_path: Path, discard_empty: bool
) -> None:
    target = tmp_path / "elsewhere"
    os.mkdir(target)
    (target / "file").touch()
    options = {"discard_empty": discard_empty, "follow_links": False}
    repo = linked(DirectoryRepository, tmp_path, target, **options)
    (tmp_path / "store" / "b" / "file").touch()

    assert await repo.keys() == {"b"}
    assert not await repo.contains("a")
    for act in (repo.mkdir("a"), repo.info("a")):
        with pytest.raises(StoreError, match="follow_links=False"):
            await act
    await repo.delete("a")
    assert is_link(tmp_path / "store" / "a")

    async with repo.build("a") as folder:
        (folder / "new").touch()

    assert await repo.keys() == {"a", "b"}
    assert os.listdir(target) == ["file"]


async def test_a_link_that_appears_after_a_listing_is_not_a_member_either(
    tmp_path: Path, secret: Path
) -> None:
    repo = linked(FileRepository, tmp_path, secret, follow_links=False)
    await repo.keys()
    os.unlink(tmp_path / "store" / "b")
    os.symlink(secret, tmp_path / "store" / "b")

    assert await repo.keys() == frozenset()
    assert not await repo.contains("b")


async def test_the_folder_itself_may_be_a_link(tmp_path: Path, secret: Path) -> None:
    linked(FileRepository, tmp_path, secret)
    os.symlink(tmp_path / "store", tmp_path / "link")

    assert await FileRepository(tmp_path / "link", follow_links=False).keys() == {"b"}


def test_the_option_is_shown_validated_and_pickled(tmp_path: Path) -> None:
    for kind in (*FILES, DirectoryRepository):
        repo = kind("store", follow_links=False)
        assert repr(repo) == f"{kind.__name__}('store', follow_links=False)"
        copy = pickle.loads(pickle.dumps(repo))
        assert copy.follow_links is False
        assert repr(kind("store")) == f"{kind.__name__}('store')"
        with pytest.raises(TypeError, match="follow_links must be True or False, not 'no'"):
            kind("store", follow_links="no")
