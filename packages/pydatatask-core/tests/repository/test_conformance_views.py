"""Conformance of the views.

The repositories below are folders, because a view has to handle stores that change independently,
fail, or do not exist yet.
"""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from pydatatask_core.repository import (
    AggregateAndRepository,
    AggregateOrRepository,
    BlockingRepository,
    FileRepository,
    InProcessMetadataRepository,
    MapRepository,
    RelatedItemRepository,
    SucceededRepository,
    YamlMetadataFileRepository,
)
from pydatatask_core.testing import (
    JOBS,
    BlobRepositoryContract,
    MetadataRepositoryContract,
    RepositoryContract,
)

if TYPE_CHECKING:
    from pathlib import Path


class OfFolders(RepositoryContract):
    """A view, made by :meth:`view`, of repositories in folders, made by :attr:`below`."""

    stores = False
    below: Any = FileRepository
    folders: ClassVar[tuple[str, ...]] = ("one", "other")
    broken_one: str | None = None

    def view(self, *below: Any) -> Any:
        raise NotImplementedError

    def over(self, path: Path) -> Any:
        return self.view(*(self.below(path / name, ".x") for name in self.folders))

    @pytest.fixture
    async def repo(self, tmp_path: Path) -> Any:
        self.path = tmp_path
        repo = self.over(tmp_path)
        for child in self.stored(repo):
            await child.validate()
        await self.prepare(repo)
        return repo

    @pytest.fixture
    async def missing(self, tmp_path: Path) -> Any:
        self.path = tmp_path
        return self.over(tmp_path)

    @pytest.fixture
    async def broken(self, tmp_path: Path) -> Any:
        """Break one repository below the view; the answers of the others do not suffice."""
        self.path = tmp_path
        repo = self.over(tmp_path)
        for child in self.stored(repo):
            if child.basedir.name == (self.broken_one or self.folders[0]):
                child.basedir.symlink_to(child.basedir.name)
            else:
                await child.validate()
                await self.prepare_beside_broken(child)
        return repo

    async def prepare(self, repo: Any) -> None:
        """Add jobs that the view must not show."""

    async def prepare_beside_broken(self, child: Any) -> None:
        """Add jobs that make the answer depend on the broken repository."""

    def stored(self, repo: Any) -> list[Any]:
        return [child for child in repo.children.values() if hasattr(child, "basedir")]

    def culprit(self, broken: Any) -> Any:
        name = self.broken_one or self.folders[0]
        return next(child for child in self.stored(broken) if child.basedir.name == name)

    async def reopen(self, repo: Any) -> Any:
        return self.over(self.path)

    async def litter(self, repo: Any, name: str) -> None:
        (self.stored(repo)[0].basedir / f"{name}.x").touch()

    async def populate(self, repo: Any, job: str) -> None:
        for child in self.stored(repo):
            await add(child, job)


class ValidatingNothing(OfFolders):
    """A view that is not written to, so that validate() has nothing to create or check."""

    @pytest.mark.skip(reason="the repositories below a view validate themselves")
    async def test_validating_creates_a_missing_store(self, missing: Any) -> None:
        raise NotImplementedError

    @pytest.mark.skip(reason="the repositories below a view validate themselves")
    async def test_validating_a_broken_repository_raises(self, broken: Any) -> None:
        raise NotImplementedError


async def add(repo: Any, job: str) -> None:
    async with await repo.open(job, "w") as stream:
        await stream.write("success: true")


class TestAnd(ValidatingNothing):
    def view(self, *below: Any) -> Any:
        return AggregateAndRepository(first=below[0], second=below[1])

    async def prepare(self, repo: Any) -> None:
        await add(repo.children["first"], "first")
        await add(repo.children["second"], "second")

    async def prepare_beside_broken(self, child: Any) -> None:
        await add(child, "job")


class TestAndWhoseLastIsBroken(TestAnd):
    broken_one = "other"


class TestOr(ValidatingNothing):
    turns: Any = None

    def view(self, *below: Any) -> Any:
        return AggregateOrRepository(first=below[0], second=below[1])

    async def populate(self, repo: Any, job: str) -> None:
        self.turns = self.turns or cycle(("first", "second"))
        await add(repo.children[next(self.turns)], job)


class TestOrWhoseLastIsBroken(TestOr):
    broken_one = "other"


class TestBlocking(ValidatingNothing):
    enumerate_unless = True

    def view(self, *below: Any) -> Any:
        return BlockingRepository(below[0], below[1], self.enumerate_unless)

    async def prepare(self, repo: Any) -> None:
        await add(repo.source, "blocked")
        await add(repo.unless, "blocked")
        await add(repo.unless, "unrelated")

    async def prepare_beside_broken(self, child: Any) -> None:
        await add(child, "job")

    async def populate(self, repo: Any, job: str) -> None:
        await add(repo.source, job)


class TestBlockingWhoseBlockIsBroken(TestBlocking):
    broken_one = "other"

    @pytest.mark.skip(reason="delete() accesses the source only")
    async def test_a_failed_deletion_raises(self, broken: Any) -> None:
        raise NotImplementedError


class TestBlockingThatAsksForEachJob(TestBlocking):
    enumerate_unless = False


class TestMap(ValidatingNothing):
    folders = ("one",)
    filt: Any = None

    def view(self, *below: Any) -> Any:
        return MapRepository(below[0], str.upper, self.filt, allow_deletes=self.deletes)


class TestMapThatDeletesNothing(TestMap):
    deletes = False


class TestMapOfSomeJobs(TestMap):
    def filt(self, job: str) -> Any:
        return job != "hidden"

    async def prepare(self, repo: Any) -> None:
        await add(repo.child, "hidden")


class TestMapOfSomeJobsThatIsAsync(TestMapOfSomeJobs):
    async def filt(self, job: str) -> bool:
        return job != "hidden"


class TestSucceeded(ValidatingNothing):
    folders = ("one",)
    below = YamlMetadataFileRepository

    def view(self, *below: Any) -> Any:
        return SucceededRepository(below[0])

    async def prepare(self, repo: Any) -> None:
        await repo.child.dump("failed", {"success": False})


class Related(OfFolders):
    """A view in which every job of the suites is translated to a different name."""

    folders = ("one",)
    prefetch = True

    def view(self, *below: Any) -> Any:
        names = {job: f"item{number}" for number, job in enumerate(JOBS)}
        return RelatedItemRepository(
            below[0], InProcessMetadataRepository(names), self.deletes, self.prefetch
        )

    def known_as(self, repo: Any, job: str) -> str:
        return f"item{JOBS.index(job)}"

    def stored(self, repo: Any) -> list[Any]:
        return [repo.base_repository]

    async def populate(self, repo: Any, job: str) -> None:
        await add(repo, job)

    async def corrupt(self, repo: Any, job: str) -> None:
        (repo.basedir / f"{self.known_as(repo, job)}.x").write_text("{ this: [is neither")


class TestRelatedWithoutPrefetch(Related):
    prefetch = False


class TestRelatedThatDeletesNothing(Related):
    deletes = False


class TestRelatedBlobs(Related, BlobRepositoryContract):
    pass


class TestRelatedMetadata(Related, MetadataRepositoryContract):
    below = YamlMetadataFileRepository
