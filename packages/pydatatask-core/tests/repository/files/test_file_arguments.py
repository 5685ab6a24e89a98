"""Constructors of file repositories: validation, repr, copying and pickling."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

from pydatatask_core.errors import RepositoryConfigurationError
from pydatatask_core.repository import (
    DirectoryRepository,
    FileRepository,
    JsonMetadataFileRepository,
    YamlMetadataFileRepository,
)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((None,), {}, TypeError, "FileRepository: the folder must be a str or a PathLike"),
        ((b"bytes",), {}, TypeError, "not b'bytes'"),
        ((7,), {}, TypeError, "not 7"),
        (("",), {}, RepositoryConfigurationError, "the folder is empty.* '.'"),
        (("a\0b",), {}, RepositoryConfigurationError, "NUL"),
        (("a", None), {}, TypeError, "extension must be a str, not None"),
        (("a", "/x"), {}, RepositoryConfigurationError, "extension '/x' contains a slash"),
        (("a", "\0"), {}, RepositoryConfigurationError, "contains a NUL"),
        (("a", "." + "x" * 254), {}, RepositoryConfigurationError, "extension has 255 bytes"),
        (("a", ".txt", ".md"), {}, TypeError, "case_insensitive must be True or False, not '.md'"),
        (("a",), {"durable": 1}, TypeError, "durable must be True or False, not 1"),
        (("a", "", True, True), {}, TypeError, "positional"),
    ],
)
def test_an_invalid_argument_is_named(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        FileRepository(*arguments, **options)


def test_discard_empty_is_checked_as_well() -> None:
    with pytest.raises(TypeError, match="discard_empty must be True or False, not None"):
        DirectoryRepository("a", discard_empty=None)  # type: ignore[arg-type] # the subject of the test
    with pytest.raises(TypeError, match="positional"):
        DirectoryRepository("a", "", False, True)


@pytest.mark.parametrize(
    ("repo", "shown"),
    [
        (FileRepository("./reports", ".txt"), "FileRepository('./reports', '.txt')"),
        (FileRepository(Path("a")), "FileRepository('a')"),
        (
            FileRepository("a", case_insensitive=True, durable=True),
            "FileRepository('a', case_insensitive=True, durable=True)",
        ),
        (
            DirectoryRepository("a", ".d", discard_empty=True),
            "DirectoryRepository('a', '.d', discard_empty=True)",
        ),
        (YamlMetadataFileRepository("a/"), "YamlMetadataFileRepository('a/')"),
        (YamlMetadataFileRepository("a", ""), "YamlMetadataFileRepository('a', '')"),
        (JsonMetadataFileRepository("a", ".js"), "JsonMetadataFileRepository('a', '.js')"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_repr_is_the_call_that_creates_the_repository(repo: FileRepository, shown: str) -> None:
    assert repr(repo) == shown
    assert repr(eval(shown)) == shown


def test_extensions_default_to_that_of_the_format() -> None:
    assert YamlMetadataFileRepository("a").fullpath("job") == Path("a/job.yaml")
    assert JsonMetadataFileRepository("a").fullpath("job") == Path("a/job.json")
    assert JsonMetadataFileRepository(filename="a", extension=".x").extension == ".x"
    assert YamlMetadataFileRepository(filename="a").basedir == Path("a")


@pytest.mark.parametrize("case_insensitive", [False, True])
async def test_a_copy_in_another_process_has_the_same_jobs(
    tmp_path: Path, case_insensitive: bool
) -> None:
    repo = YamlMetadataFileRepository(tmp_path, case_insensitive=case_insensitive)
    await repo.dump("job", {"a": 1})
    assert await repo.keys() == {"job"}
    for other in (pickle.loads(pickle.dumps(repo)), copy.deepcopy(repo)):
        assert repr(other) == repr(repo)
        assert other.identity == repo.identity
        assert await other.info_all() == {"job": {"a": 1}}
        await other.dump("JOB", {"a": 2})
        assert await repo.keys() == ({"job"} if case_insensitive else {"job", "JOB"})
        await other.delete("JOB")
        await repo.dump("job", {"a": 1})


def test_a_cached_listing_is_not_pickled(tmp_path: Path) -> None:
    repo = FileRepository(tmp_path)
    repo._last_listing = ((1, 2, 3, 4), frozenset({"job" * 20}))
    assert b"jobjob" not in pickle.dumps(repo)
