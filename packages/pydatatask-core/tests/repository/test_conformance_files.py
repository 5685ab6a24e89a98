"""Conformance of the repositories in local folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from pydatatask_core.errors import InvalidJobIdError
from pydatatask_core.repository import (
    DirectoryRepository,
    FileRepository,
    JsonMetadataFileRepository,
    YamlMetadataFileRepository,
)
from pydatatask_core.testing import (
    BlobRepositoryContract,
    MetadataRepositoryContract,
    RepositoryContract,
    RepositoryHooks,
)

if TYPE_CHECKING:
    from pathlib import Path


class InFolder(RepositoryHooks):
    """Hooks of all file repositories: the folder can be missing, broken or littered."""

    kind: Any
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    async def repo(self, tmp_path: Path) -> Any:
        repo = self.kind(tmp_path / "jobs", **self.options)
        await repo.validate()
        return repo

    @pytest.fixture
    def broken(self, tmp_path: Path) -> Any:
        # A link to itself also fails for root, which permissions do not restrict.
        (tmp_path / "loop").symlink_to("loop")
        return self.kind(tmp_path / "loop", **self.options)

    @pytest.fixture
    def missing(self, tmp_path: Path) -> Any:
        return self.kind(tmp_path / "not" / "yet", **self.options)

    async def reopen(self, repo: Any) -> Any:
        return self.kind(repo.basedir, **self.options)

    async def litter(self, repo: Any, name: str) -> None:
        (repo.basedir / f"{name}{repo.extension}").write_text("{}")

    async def corrupt(self, repo: Any, job: str) -> None:
        (repo.basedir / f"{job}{repo.extension}").write_text("{ this: [is neither")

    def entries(self, repo: Any) -> Any:
        return {**super().entries(repo), "fullpath": repo.fullpath}


class TestFileRepository(InFolder, BlobRepositoryContract):
    kind = FileRepository


class TestFileRepositoryWithExtension(TestFileRepository):
    options: ClassVar = {"extension": ".tar.gz"}


class TestFileRepositoryIgnoringCase(TestFileRepository):
    options: ClassVar = {"extension": ".TXT", "case_insensitive": True}
    case_sensitive = False


class TestDurableFileRepository(TestFileRepository):
    options: ClassVar = {"durable": True}


class DottedFiles(FileRepository):
    """A subclass that permits more characters in job ids, as documented."""

    CHARSET = FileRepository.CHARSET + "-_."


class TestFileRepositoryWithMoreCharacters(TestFileRepository):
    kind = DottedFiles
    foreign_names = ("no job", "-job", "job.")


class TestDirectoryRepository(InFolder, RepositoryContract):
    kind = DirectoryRepository

    async def populate(self, repo: Any, job: str) -> None:
        await repo.mkdir(job)

    async def litter(self, repo: Any, name: str) -> None:
        (repo.basedir / f"{name}{repo.extension}").mkdir()

    def entries(self, repo: Any) -> Any:
        async def build(job: str) -> None:
            async with repo.build(job):
                pass

        return {**super().entries(repo), "mkdir": repo.mkdir, "build": build}


class TestDirectoryRepositoryDiscardingTheEmpty(TestDirectoryRepository):
    options: ClassVar = {"extension": ".d", "discard_empty": True}

    async def populate(self, repo: Any, job: str) -> None:
        async with repo.build(job) as path:
            (path / "content").touch()

    async def litter(self, repo: Any, name: str) -> None:
        await super().litter(repo, name)
        (repo.basedir / f"{name}{repo.extension}" / "content").touch()


class TestYamlMetadataFileRepository(InFolder, MetadataRepositoryContract):
    kind = YamlMetadataFileRepository


class TestYamlMetadataFileRepositoryAsBlobs(InFolder, BlobRepositoryContract):
    kind = YamlMetadataFileRepository


class TestJsonMetadataFileRepository(InFolder, MetadataRepositoryContract):
    kind = JsonMetadataFileRepository


class DotsAnywhere(DirectoryRepository):
    CHARSET = CHARSET_START_END = DirectoryRepository.CHARSET + "."


@pytest.mark.parametrize("name", [".", ".."])
async def test_the_folder_itself_is_not_a_job_even_if_dots_are_permitted(
    tmp_path: Path, name: str
) -> None:
    repo = DotsAnywhere(tmp_path / "jobs")
    await repo.validate()
    with pytest.raises(InvalidJobIdError):
        await repo.delete(name)
    assert not await repo.contains(name)
    assert repo.basedir.is_dir()
