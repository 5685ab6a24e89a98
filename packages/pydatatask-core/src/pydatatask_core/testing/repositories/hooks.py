"""The members that a subclass of a repository contract provides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RepositoryHooks"]


class RepositoryHooks:
    """The fixtures, methods and flags that describe a repository to its contract.

    The fixture ``repo`` is always required, and :meth:`populate` is required unless the contract
    knows how to add a job. The other fixtures and methods are required by the laws that they name.
    A flag disables the laws that do not apply to a kind of store. A law fails if its requirement
    is neither provided nor disabled.
    """

    pytestmark = pytest.mark.asyncio

    deletes: ClassVar[bool] = True
    """True if delete() removes a job; a view may refuse or do nothing, but must change nothing."""

    persistent: ClassVar[bool] = True
    """True if the data outlives the instance; requires :meth:`reopen`."""

    stores: ClassVar[bool] = True
    """True if the repository itself stores data (a view does not) and has an ``identity``."""

    breakable: ClassVar[bool] = True
    """True if the store can fail (memory cannot); requires the fixture ``broken``."""

    creates: ClassVar[bool] = True
    """True if ``validate()`` creates a folder, bucket or similar; requires ``missing``."""

    counts_requests: ClassVar[bool] = False
    """True if :meth:`requests` is implemented; the law of cost (R8) concerns servers."""

    page_size: ClassVar[int] = 1000
    """The number of names listed per request."""

    bulk_info: ClassVar[bool] = False
    """True if a listing includes the values, so that ``info_all`` costs no more requests (R8)."""

    case_sensitive: ClassVar[bool] = True
    """True if names that differ only in case are different jobs."""

    foreign_names: ClassVar[tuple[str, ...]] = ("no-job", "no_job")
    """Invalid job ids that the store can hold; requires :meth:`litter`."""

    @pytest.fixture
    def repo(self) -> Any:
        """Return an empty, validated repository."""
        self._demand("the fixture `repo`: an empty, validated repository")

    @pytest.fixture
    def broken(self) -> Any:
        """Return a repository whose store refuses every request or cannot be reached (R6)."""
        self._demand("the fixture `broken`: a repository whose store fails", "breakable")

    @pytest.fixture
    def missing(self) -> Any:
        """Return a repository whose folder, bucket or similar does not exist yet (R10)."""
        self._demand("the fixture `missing`: a repository that is not created yet", "creates")

    async def populate(self, repo: Any, job: str) -> None:
        """Add a job.

        :param repo: The value of a fixture or of :meth:`reopen`.
        :param job: One of ``JOBS``.
        """
        self._demand("the method `populate(repo, job)`, which adds a job")

    async def reopen(self, repo: Any) -> Any:
        """Return another instance for the same data (R1, R3).

        :param repo: The value of the fixture ``repo``.
        """
        self._demand("the method `reopen(repo)`: another instance for the same data", "persistent")

    async def litter(self, repo: Any, name: str) -> None:
        """Store an invalid job id, bypassing the repository (R1, R7).

        :param repo: The value of the fixture ``repo``.
        :param name: One of :attr:`foreign_names`.
        """
        self._demand("the method `litter(repo, name)`, which stores an invalid job id")

    async def requests(self, repo: Any) -> int:
        """Return the number of requests that the store has received so far (R8).

        :param repo: The value of the fixture ``repo``.
        """
        self._demand("the method `requests(repo)`, which counts the store's requests")

    def culprit(self, broken: Any) -> Any:
        """Return the repository named by errors of ``broken``: itself, or one it is based on."""
        return broken

    def known_as(self, repo: Any, job: str) -> str:
        """Return the name of a job in error messages; it differs in views that translate names."""
        return job

    def entries(self, repo: Any) -> dict[str, Callable[[Any], Any]]:
        """Return all calls by which a job id reaches the store, as functions of the job id (R7).

        Extend the result with the methods that the class adds. ``contains`` is omitted because it
        returns False instead of raising.
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
        excuse = f", or set `{flag} = False` if it does not apply" if flag else ""
        pytest.fail(f"{name} must provide {what}{excuse}", pytrace=False)
