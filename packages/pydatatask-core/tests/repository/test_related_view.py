"""RelatedItemRepository: its base repository, with other names for the jobs."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import InvalidJobIdError, JobNotFoundError
from pydatatask_core.repository import (
    AggregateAndRepository,
    BlobRepository,
    DirectoryRepository,
    FileRepository,
    InProcessBlobRepository,
    InProcessMetadataRepository,
    MapRepository,
    MetadataRepository,
    RelatedItemRepository,
    Repository,
    View,
    YamlMetadataFileRepository,
)
from pydatatask_core.utils.call_log import is_coroutine_function

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path


class Shelf(InProcessMetadataRepository):
    """A third party's repository with additional methods."""

    purpose = "books"

    async def lend(self, job: str, to: str, *, days: int = 14) -> str:
        """Lend a book."""
        return f"{job} to {to} for {days}"

    def spine(self, job: str) -> str:
        return f"spine of {job}"

    async def pages(self, job: str, count: int) -> AsyncIterator[str]:
        for number in range(count):
            yield f"{job}:{number}"

    @asynccontextmanager
    async def opened(self, job: str) -> AsyncIterator[str]:
        yield f"open {job}"

    async def annotate(self, text: str, job: str | None = None) -> tuple[str, str | None]:
        return text, job

    async def count(self) -> int:
        return len(self.data)

    async def missing(self, item: str) -> str:
        return item

    @classmethod
    def of(cls, job: str) -> str:
        return job


@pytest.fixture
def shelf() -> Shelf:
    return Shelf({"b1": 1, "b2": 2})


@pytest.fixture
def translator() -> InProcessMetadataRepository:
    return InProcessMetadataRepository({"one": "b1", "two": "b2", "three": "b3", "root": None})


@pytest.fixture
def related(shelf: Shelf, translator: InProcessMetadataRepository) -> Any:
    return RelatedItemRepository(shelf, translator)


async def test_the_error_for_a_job_without_translation_names_the_job(
    related: Any,
) -> None:
    with pytest.raises(JobNotFoundError, match="'root'"):
        await related.lend("root", to="me")
    with pytest.raises(JobNotFoundError, match="'nothing'"):
        await related.dump("nothing", 1)


async def test_an_invalid_job_id_of_the_translator_is_refused(related: Any) -> None:
    with pytest.raises(InvalidJobIdError):
        await related.lend("../b1", to="me")
    assert not await related.contains("../b1")


async def test_the_view_has_only_the_attributes_of_its_base(related: Any) -> None:
    assert not hasattr(related, "open")
    with pytest.raises(AttributeError, match="'Shelf' object has no attribute 'lost'"):
        _ = related.lost


def test_only_repositories_can_be_related(shelf: Shelf) -> None:
    with pytest.raises(TypeError, match=r"translator_repository.*\{\}"):
        RelatedItemRepository(shelf, {})  # type: ignore[arg-type]


async def test_deleting_does_nothing_unless_allowed_and_never_deletes_the_translation(
    shelf: Shelf, translator: InProcessMetadataRepository, related: Any
) -> None:
    await related.delete("one")
    assert "b1" in shelf.data

    await RelatedItemRepository(shelf, translator, allow_deletes=True).delete("one")
    assert shelf.data == {"b2": 2}
    assert "one" in translator.data


def test_the_view_is_an_instance_of_the_class_of_its_base(related: Any) -> None:
    assert isinstance(related, Shelf)
    assert isinstance(related, MetadataRepository)
    assert isinstance(related, RelatedItemRepository)
    assert isinstance(related, View)
    assert not isinstance(related, BlobRepository)
    assert type(related) is RelatedItemRepository


async def test_methods_of_the_base_get_the_translated_job(
    related: Any,
) -> None:
    assert await related.lend("one", "me") == "b1 to me for 14"
    assert await related.lend(job="two", to="me", days=1) == "b2 to me for 1"
    assert [page async for page in related.pages("one", 2)] == ["b1:0", "b1:1"]
    async with related.opened("two") as book:
        assert book == "open b2"
    assert await related.annotate("text", "one") == ("text", "b1")
    assert await related.annotate("text") == ("text", None)
    assert await related.missing("one") == "b1"


async def test_a_synchronous_method_works_once_the_translation_is_known(
    shelf: Shelf, translator: InProcessMetadataRepository
) -> None:
    for prefetch in (True, False):
        related: Any = RelatedItemRepository(shelf, translator, prefetch_lookup=prefetch)
        with pytest.raises(JobNotFoundError) as caught:
            related.spine("one")
        assert "await repository.translate(job)" in caught.value.__notes__[0]

        await related.translate("one")

        assert related.spine("one") == "spine of b1"


async def test_members_without_a_job_are_those_of_the_base(related: Any, shelf: Shelf) -> None:
    assert related.purpose == "books"
    assert related.data is shelf.data
    assert await related.count() == 2
    assert related.of("one") == "one"


def test_help_shows_the_method_of_the_base(related: Any) -> None:
    assert inspect.getdoc(related.lend) == "Lend a book."
    assert (
        str(inspect.signature(related.lend))
        == "(job: 'str', to: 'str', *, days: 'int' = 14) -> 'str'"
    )
    assert is_coroutine_function(related.lend)
    assert inspect.isasyncgenfunction(related.pages)


def test_a_wrong_call_raises_a_type_error_as_for_the_base(related: Any) -> None:
    with pytest.raises(TypeError, match="missing a required argument"):
        asyncio.run(related.lend("one"))


async def test_blobs_are_opened_under_the_translated_name(
    translator: InProcessMetadataRepository,
) -> None:
    blobs = InProcessBlobRepository()
    related: Any = RelatedItemRepository(blobs, translator)
    assert isinstance(related, BlobRepository)
    async with await related.open("one", "w") as stream:
        await stream.write("text")
    async with await related.open("one") as stream:
        assert await stream.read() == "text"
    assert blobs.data == {"b1": b"text"}


async def test_directories_are_built_under_the_translated_name(
    tmp_path: Path, translator: InProcessMetadataRepository
) -> None:
    related: Any = RelatedItemRepository(DirectoryRepository(tmp_path), translator)
    async with related.build("one") as folder:
        (folder / "file").write_text("x")
    assert (tmp_path / "b1" / "file").read_text() == "x"


def test_the_view_can_be_pickled_if_its_repositories_can(tmp_path: Path) -> None:
    translator = YamlMetadataFileRepository(tmp_path / "t")
    related = RelatedItemRepository(FileRepository(tmp_path / "x"), translator, True, False)

    again: Any = pickle.loads(pickle.dumps(related))

    assert type(again) is RelatedItemRepository
    assert isinstance(again, FileRepository)
    assert (again.allow_deletes, again.prefetch_lookup) == (True, False)
    assert repr(again) == repr(related)


async def test_two_jobs_may_have_the_same_translation(shelf: Shelf) -> None:
    related = RelatedItemRepository(shelf, InProcessMetadataRepository({"x": "b1", "y": "b1"}))
    assert await related.info_all() == {"x": 1, "y": 1}


class Dashed(InProcessMetadataRepository):
    CHARSET = InProcessMetadataRepository.CHARSET + "-"


async def test_the_base_decides_which_translations_are_valid_job_ids() -> None:
    base = MapRepository(Dashed({"b-1": 1}), lambda value: value)
    related = RelatedItemRepository(base, Dashed({"a-1": "b-1"}))
    assert await related.keys() == {"a-1"}
    assert await related.info("a-1") == 1


class Counting(InProcessMetadataRepository):
    reads = 0

    async def info(self, job: str) -> Any:
        self.reads += 1
        return await super().info(job)


async def test_prefetched_translations_are_read_once_for_each_new_job(shelf: Shelf) -> None:
    translator = Counting({"one": "b1"})
    related = RelatedItemRepository(shelf, translator)
    await related.keys()
    await related.keys()
    translator.data["two"] = "b2"

    assert await related.keys() == {"one", "two"}
    assert translator.reads == 2


@pytest.mark.parametrize("value", [None, {}])
async def test_a_missing_translation_is_also_read_once(shelf: Shelf, value: Any) -> None:
    translator = Counting({"root": value})
    related = RelatedItemRepository(shelf, translator)
    await related.keys()
    await related.keys()
    assert translator.reads == 1


async def test_a_job_that_was_queried_before_it_existed_appears_when_it_is_added(
    shelf: Shelf,
) -> None:
    translator = InProcessMetadataRepository()
    related = RelatedItemRepository(shelf, translator)
    assert await related.info_many(["one"]) == {"one": {}}
    await translator.dump("one", "b1")

    assert await related.keys() == {"one"}
    assert await related.info_many(["one"]) == {"one": 1}


async def test_a_job_that_vanished_before_it_was_read_appears_when_it_comes_back(
    shelf: Shelf,
) -> None:
    class Vanishing(InProcessMetadataRepository):
        vanishes = True

        async def info_many(self, jobs: Any) -> dict[str, Any]:
            if self.vanishes:
                await self.delete("one")
            return await super().info_many(jobs)

    translator = Vanishing({"one": "b1"})
    related = RelatedItemRepository(shelf, translator)
    assert await related.keys() == set()
    translator.vanishes = False
    await translator.dump("one", "b1")

    assert await related.keys() == {"one"}


async def test_without_prefetch_translations_are_read_for_each_query(
    shelf: Shelf,
) -> None:
    translator = Counting({"one": "b1"})
    related = RelatedItemRepository(shelf, translator, prefetch_lookup=False)
    await related.keys()
    translator.data["one"] = "b2"

    assert await related.info("one") == 2
    assert translator.reads == 2


async def test_the_translation_of_a_job_that_vanished_and_came_back_is_read_again(
    shelf: Shelf, translator: InProcessMetadataRepository
) -> None:
    gate = InProcessMetadataRepository()
    related = RelatedItemRepository(shelf, translator)
    await related.keys()
    del translator.data["one"]
    both = AggregateAndRepository(gate=gate, related=related)
    assert await both.keys() == set()  # with so few candidates, the translator is not listed
    translator.data["one"] = "b3"

    assert await related.keys() == {"two"}


class Documented(Repository):
    """A third party's repository with the documented methods only."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        for name in self.names:
            yield name

    async def info(self, job: str) -> Any:
        return job.upper()

    async def delete(self, job: str) -> None:
        self.names.remove(job)


async def test_three_documented_methods_suffice_for_a_base_and_a_translator() -> None:
    related: Any = RelatedItemRepository(Documented(["A", "C"]), Documented(["a", "b", "not one"]))
    assert await related.keys() == {"a"}
    assert await related.info_all() == {"a": "A"}
