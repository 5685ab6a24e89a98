"""Subclasses that override some methods: bulk methods do not bypass the overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.repository import (
    AggregateOrRepository,
    BlobRepository,
    BlockingRepository,
    FileRepository,
    InProcessBlobRepository,
    InProcessMetadataRepository,
    JsonMetadataFileRepository,
    MapRepository,
    Repository,
    YamlMetadataFileRepository,
)
from pydatatask_core.repository.views.filtered import FilterRepository

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

SOURCE = InProcessMetadataRepository({"a": 1, "b": 2})

EXAMPLES: list[tuple[type[Repository], Any]] = [
    (InProcessMetadataRepository, lambda kind, path: kind({"a": 1, "b": 2})),
    (InProcessBlobRepository, lambda kind, path: kind({"a": b"1", "b": b"2"})),
    (FileRepository, lambda kind, path: kind(path)),
    (YamlMetadataFileRepository, lambda kind, path: kind(path, "")),
    (JsonMetadataFileRepository, lambda kind, path: kind(path, "")),
    (FilterRepository, lambda kind, path: kind(SOURCE)),
    (MapRepository, lambda kind, path: kind(SOURCE, str)),
    (AggregateOrRepository, lambda kind, path: kind(source=SOURCE)),
    (BlockingRepository, lambda kind, path: kind(SOURCE, InProcessMetadataRepository())),
]

KINDS = pytest.mark.parametrize(
    ("kind", "make"), EXAMPLES, ids=[kind.__name__ for kind, _ in EXAMPLES]
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for job in "ab":
        (tmp_path / job).write_text("1")
    return tmp_path


class OwnInfo:
    async def info(self, job: str) -> Any:
        return f"info of {job}"


class OwnIteration:
    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        yield "a"


@KINDS
async def test_bulk_methods_return_the_info_of_a_subclass(
    kind: Any, make: Any, folder: Path
) -> None:
    class Child(kind):  # type: ignore[misc]
        async def info(self, job: str) -> Any:
            return f"info of {job}"

    repo = make(Child, folder)

    expected = {"a": "info of a", "b": "info of b"}
    assert await repo.info_all() == await repo.info_many("ab") == expected


@KINDS
async def test_bulk_methods_return_the_info_of_a_mixin(kind: Any, make: Any, folder: Path) -> None:
    class Child(OwnInfo, kind):  # type: ignore[misc]
        pass

    class Grandchild(Child):
        pass

    repo = make(Grandchild, folder)

    expected = {"a": "info of a", "b": "info of b"}
    assert await repo.info_all() == await repo.info_many("ab") == expected


@KINDS
async def test_all_listings_use_the_iteration_of_a_subclass(
    kind: Any, make: Any, folder: Path
) -> None:
    class Child(OwnIteration, kind):  # type: ignore[misc]
        pass

    repo = make(Child, folder)

    assert [job async for job in repo] == ["a"]
    assert await repo.keys() == (await repo.info_all()).keys() == {"a"}


async def test_a_bulk_method_that_a_subclass_overrides_itself_is_kept() -> None:
    class Child(OwnInfo, InProcessMetadataRepository):
        async def info_many(self, jobs: Any) -> dict[str, Any]:
            return dict.fromkeys(jobs, "in bulk")

    repo = Child({"a": 1})

    assert await repo.info_many(["a"]) == await repo.info_all() == {"a": "in bulk"}


async def test_a_bulk_method_is_not_reset_if_nothing_below_it_is_overridden() -> None:
    class Child(InProcessMetadataRepository):
        async def delete(self, job: str) -> None:
            raise NotImplementedError

    assert Child.info_all is InProcessMetadataRepository.info_all
    assert Child.keys is InProcessMetadataRepository.keys


async def test_a_mixin_with_its_own_open_is_used_for_local_files(tmp_path: Path) -> None:
    class Shouting:
        async def open(self, job: str, mode: Any = "r") -> Any:
            stream = await super().open(job, mode)  # type: ignore[misc]
            if mode == "wb":
                await stream.write(b"HEADER ")
            return stream

    class Child(Shouting, FileRepository):
        pass

    repo = Child(tmp_path)
    async with repo.local_file("job", "w") as path:
        path.write_text("value")

    assert Child.local_file is BlobRepository.local_file
    assert (tmp_path / "job").read_text() == "HEADER value"
