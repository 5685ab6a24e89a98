"""What a subclass of a repository's contract gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RepositoryHooks"]


class RepositoryHooks:
    """The fixtures, methods and flags by which a contract learns about a repository.

    Only the fixture ``repo`` has to be given always, and :meth:`populate` where the contract does
    not know how a job is added. The other fixtures and methods serve the laws that they name; a
    law that cannot hold for a kind of store is excused by its flag, and a law that is neither
    served nor excused fails.
    """

    pytestmark = pytest.mark.asyncio

    deletes: ClassVar[bool] = True
    """Whether deleting deletes; a view may refuse or do nothing, and then must change nothing."""

    persistent: ClassVar[bool] = True
    """Whether the data outlives the instance; asks for :meth:`reopen`."""

    stores: ClassVar[bool] = True
    """Whether it stores its data itself, unlike a view; then ``identity`` says where they are."""

    breakable: ClassVar[bool] = True
    """Whether the store can fail at all, unlike memory; asks for the fixture ``broken``."""

    creates: ClassVar[bool] = True
    """Whether there is a folder, bucket or the like to create; asks for ``missing``."""

    counts_requests: ClassVar[bool] = False
    """Whether :meth:`requests` can be given; the law of cost (R8) is about servers."""

    page_size: ClassVar[int] = 1000
    """How many names one request lists."""

    bulk_info: ClassVar[bool] = False
    """Whether a listing carries the values, so that ``info_all`` costs no more (R8)."""

    case_sensitive: ClassVar[bool] = True
    """Whether names that differ by case only are different jobs."""

    foreign_names: ClassVar[tuple[str, ...]] = ("no-job", "no_job")
    """Names that the store can hold and that are no job ids; asks for :meth:`litter`."""

    @pytest.fixture
    def repo(self) -> Any:
        """Give an empty, validated repository."""
        self._demand("the fixture `repo`: an empty, validated repository")

    @pytest.fixture
    def broken(self) -> Any:
        """Give a repository whose store refuses every request, or cannot be reached (R6)."""
        self._demand("the fixture `broken`: a repository whose store fails", "breakable")

    @pytest.fixture
    def missing(self) -> Any:
        """Give a repository whose folder, bucket or the like does not exist yet (R10)."""
        self._demand("the fixture `missing`: one whose place does not exist yet", "creates")

    async def populate(self, repo: Any, job: str) -> None:
        """Make a job present.

        :param repo: what a fixture or :meth:`reopen` gave.
        :param job: one of ``JOBS``.
        """
        self._demand("the method `populate(repo, job)`, which adds a job")

    async def reopen(self, repo: Any) -> Any:
        """Give another instance over the same data (R1, R3).

        :param repo: what the fixture ``repo`` gave.
        """
        self._demand("the method `reopen(repo)`: another instance over the same data", "persistent")

    async def litter(self, repo: Any, name: str) -> None:
        """Put a name that is no job id into the store, past the repository (R1, R7).

        :param repo: what the fixture ``repo`` gave.
        :param name: one of :attr:`foreign_names`.
        """
        self._demand("the method `litter(repo, name)`, which stores a name that is no job id")

    async def requests(self, repo: Any) -> int:
        """Count the requests that the store has got so far (R8).

        :param repo: what the fixture ``repo`` gave.
        """
        self._demand("the method `requests(repo)`, which counts the store's requests")

    def culprit(self, broken: Any) -> Any:
        """Give the repository that an error of ``broken`` has to name: itself, or one below it."""
        return broken

    def known_as(self, repo: Any, job: str) -> str:
        """Give the name that an error has to call a job by; another one if it is translated."""
        return job

    def entries(self, repo: Any) -> dict[str, Callable[[Any], Any]]:
        """List every call by which a job id reaches the store, as functions of the job id (R7).

        Extend this with the methods that your class adds. ``contains`` is not among them: it
        answers False instead of raising.
        """
        return {
            "info": repo.info,
            "delete": repo.delete,
            "info_many": lambda job: repo.info_many([job]),
        }

    def _demand(self, what: str, flag: str | None = None) -> NoReturn:
        name = type(self).__name__
        if flag is not None and not getattr(self, flag):
            pytest.skip(f"{name}.{flag} is False")
        excuse = f", or to say `{flag} = False` if that has no meaning for it" if flag else ""
        pytest.fail(f"{name} has to give {what}{excuse}", pytrace=False)
