"""Metadata in blobs and files: encoding and decoding of values in any format."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import (
    MalformedValueError,
    StoreError,
    StorePermissionError,
    UnsupportedValueError,
)
from pydatatask_core.repository import (
    FileRepository,
    InProcessBlobRepository,
    JsonMetadataFileRepository,
    JsonMetadataRepository,
    YamlMetadataFileRepository,
    YamlMetadataRepository,
)

if TYPE_CHECKING:
    from pathlib import Path

    FileKind = type[YamlMetadataFileRepository | JsonMetadataFileRepository]

FORMATS = pytest.mark.parametrize("kind", [YamlMetadataFileRepository, JsonMetadataFileRepository])


class YamlInMemory(YamlMetadataRepository, InProcessBlobRepository):
    """A metadata repository built from a blob repository by inheritance alone."""


class JsonInMemory(JsonMetadataRepository, InProcessBlobRepository):
    pass


class ZippedYaml(YamlMetadataFileRepository):
    """A user's repository that compresses its files."""

    async def open(self, job: str, mode: Any = "r") -> Any:
        assert mode in ("rb", "wb")
        stream = await super().open(job, mode)
        if mode == "rb":
            read = stream.read

            async def unzip(n: int | None = None) -> bytes:
                return gzip.decompress(await read())

            stream.read = unzip
        else:
            write = stream.write

            async def zip_(data: bytes) -> None:
                await write(gzip.compress(data))

            stream.write = zip_
        return stream


@pytest.mark.parametrize("value", ["half \ud800", {"\udfff": 1}, [["a", "\ud83d"]]], ids=ascii)
async def test_a_lone_surrogate_is_refused_and_nothing_is_written(
    tmp_path: Path, value: Any
) -> None:
    """JSON can escape a lone surrogate, YAML cannot."""
    repo = YamlMetadataFileRepository(tmp_path)
    with pytest.raises(UnsupportedValueError, match=r"job 'job'.*half of a surrogate pair"):
        await repo.dump("job", value)
    assert os.listdir(tmp_path) == []


@FORMATS
async def test_an_empty_file_is_not_an_absent_job(tmp_path: Path, kind: FileKind) -> None:
    """An empty YAML document is None; JSON has no empty document."""
    repo = kind(tmp_path)
    repo.fullpath("job").write_bytes(b"")
    assert await repo.info("absent") == {}
    if kind is YamlMetadataFileRepository:
        assert await repo.info("job") is None
        assert await repo.info_all() == {"job": None}
    else:
        with pytest.raises(MalformedValueError, match="line 1, column 1"):
            await repo.info("job")


@FORMATS
async def test_an_unreadable_file_is_an_error(powerless: Path, kind: FileKind) -> None:
    repo = kind(powerless)
    await repo.dump("job", {})
    repo.fullpath("job").chmod(0)
    for asking in (lambda: repo.info("job"), repo.info_all, lambda: repo.info_many(["job"])):
        with pytest.raises(StorePermissionError, match=r"read job 'job'.*Permission denied"):
            await asking()


@FORMATS
async def test_a_full_disk_keeps_the_old_value(tiny_disk: Path, kind: FileKind) -> None:
    repo = kind(tiny_disk)
    await repo.dump("job", {"old": True})
    with pytest.raises(StoreError, match=r"write job 'job'.*No space left"):
        await repo.dump("job", {"new": "x" * 1_000_000})
    assert await repo.info("job") == {"old": True}
    assert len(os.listdir(tiny_disk)) == 1


@FORMATS
async def test_only_regular_files_have_values(tmp_path: Path, kind: FileKind) -> None:
    repo = kind(tmp_path)
    repo.fullpath("folder").mkdir()
    os.mkfifo(repo.fullpath("pipe"))
    repo.fullpath("dangling").symlink_to("nowhere")
    for job in ("folder", "pipe", "dangling"):
        assert await repo.info(job) == {}
    assert await repo.info_all() == {}


@FORMATS
async def test_many_values_are_read_in_batches(tmp_path: Path, kind: FileKind) -> None:
    repo = kind(tmp_path)
    jobs = [f"job{number}" for number in range(450)]
    for job in jobs:
        repo.fullpath(job).write_bytes(repo._codec().encode({"my name": job}))
    assert await repo.info_all() == {job: {"my name": job} for job in jobs}
    assert list(await repo.info_many([*jobs, "absent"])) == [*jobs, "absent"]


@FORMATS
async def test_a_value_that_vanishes_during_a_bulk_read_is_omitted(
    tmp_path: Path, kind: FileKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = kind(tmp_path)
    await repo.dump("job", {})

    async def keys_of_a_moment_ago() -> frozenset[str]:
        return frozenset({"job", "vanished"})

    monkeypatch.setattr(repo, "keys", keys_of_a_moment_ago)
    assert await repo.info_all() == {"job": {}}


@FORMATS
async def test_the_value_can_be_read_and_written_as_a_blob(tmp_path: Path, kind: FileKind) -> None:
    repo = kind(tmp_path)
    await repo.dump("job", {"a": [1]})
    async with await repo.open("job") as stream:
        text = await stream.read()
    async with await repo.open("copy", "w") as stream:
        await stream.write(text)
    assert await repo.info("copy") == {"a": [1]}
    assert await FileRepository(tmp_path, repo.extension).keys() == {"job", "copy"}


@pytest.mark.parametrize("kind", [YamlInMemory, JsonInMemory])
async def test_a_blob_repository_becomes_a_metadata_repository_by_inheritance(kind: Any) -> None:
    repo = kind()
    await repo.dump("job", {"a": [1, b"bytes"]})
    assert await repo.info("job") == {"a": [1, b"bytes"]}
    assert await repo.info("absent") == {}
    assert await repo.info_all() == {"job": {"a": [1, b"bytes"]}}
    with pytest.raises(UnsupportedValueError):
        await repo.dump("job", {"a": (1,)})
    async with await repo.open("bad", "w") as stream:
        await stream.write("{a\n")
    with pytest.raises(MalformedValueError, match=r"does not parse: line \d, column \d: "):
        await repo.info("bad")


async def test_values_are_read_through_an_overridden_open(tmp_path: Path) -> None:
    repo = ZippedYaml(tmp_path)
    await repo.dump("job", {"a": 1})
    assert gzip.decompress(repo.fullpath("job").read_bytes()) == b"a: 1\n"
    assert await repo.info("job") == {"a": 1}
    assert await repo.info_all() == await repo.info_many(["job"]) == {"job": {"a": 1}}
