"""The suites over the repositories that are made of others.

The others are folders, so that a view has to bear what a store can do: change behind its back,
fail, or not be there yet.
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
    """A view of repositories in folders, each made by :meth:`below`, seen by :meth:`view`."""

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
        """Break one of those below; what the others say is not enough to answer."""
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
        """Add what the view must not show."""

    async def prepare_beside_broken(self, child: Any) -> None:
        """Add what makes the answer depend on the broken one."""

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
    """A view that is not written to, so that there is nothing for it to create or to try out."""

    @pytest.mark.skip(reason="what is below a view is validated by itself")
    async def test_validating_creates_a_missing_store(self, missing: Any) -> None:
        raise NotImplementedError

    @pytest.mark.skip(reason="what is below a view is validated by itself")
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

    @pytest.mark.skip(reason="deleting asks the source only")
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
    """Every job of the suites has a translation, under a name of another kind."""

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
