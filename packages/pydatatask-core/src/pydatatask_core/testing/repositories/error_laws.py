"""R6 and R7: store failures raise, and invalid job ids never reach the store."""

from __future__ import annotations

from typing import Any

import pytest

from pydatatask_core.errors import InvalidJobIdError, RepositoryError, StoreError
from pydatatask_core.testing.jobs import HOSTILE_NAMES, JOB, JOBS

from .hooks import RepositoryHooks
from .queries import failure_of, jobs_of

__all__ = ["ErrorLaws", "NameLaws"]


class ErrorLaws(RepositoryHooks):
    """R6: a failure of the store is never reported as an absent job or an empty repository."""

    async def test_a_store_that_fails_is_not_an_empty_one(self, broken: Any) -> None:
        """R6: every way of listing raises."""
        failures = {
            "iteration": await failure_of(jobs_of(broken)),
            "keys()": await failure_of(broken.keys()),
            "info_all()": await failure_of(broken.info_all()),
        }
        assert _not_store_errors(failures) == {}

    async def test_a_store_that_fails_does_not_report_an_absent_job(self, broken: Any) -> None:
        """R6: contains() raises instead of returning False."""
        failures = {"contains()": await failure_of(broken.contains(JOB))}
        assert _not_store_errors(failures) == {}

    async def test_a_failed_deletion_raises(self, broken: Any) -> None:
        """R6: the job may still be present."""
        if not self.deletes:
            pytest.skip(f"{type(self).__name__}.deletes is False")
        failures = {"delete()": await failure_of(broken.delete(JOB))}
        assert _not_store_errors(failures) == {}

    async def test_an_error_names_the_repository_the_job_and_the_cause(self, broken: Any) -> None:
        """R6: the user needs them to fix the problem."""
        listing = await failure_of(broken.keys())
        look_up = await failure_of(broken.contains(JOB))
        assert listing is not None
        assert look_up is not None
        assert repr(self.culprit(broken)) in str(listing)
        assert repr(self.culprit(broken)) in str(look_up)
        assert repr(self.known_as(broken, JOB)) in str(look_up)
        assert listing.__cause__ is not None
        assert look_up.__cause__ is not None

    async def test_validating_a_broken_repository_raises(self, broken: Any) -> None:
        """R6, R10: before any job is launched."""
        failure = await failure_of(broken.validate())
        assert isinstance(failure, RepositoryError), failure
        assert repr(self.culprit(broken)) in str(failure)


class NameLaws(RepositoryHooks):
    """R7: every method checks the job id before it accesses the store."""

    @pytest.mark.parametrize("name", HOSTILE_NAMES, ids=repr)
    async def test_every_entry_refuses_invalid_job_ids(self, repo: Any, name: Any) -> None:
        """R7: and changes nothing."""
        self._need_invalid(repo, name)
        await self.populate(repo, JOB)
        assert await repo.contains(name) is False
        assert await self._admitted(repo, name) == []
        assert await jobs_of(repo) == {JOB}

    async def test_a_job_id_is_checked_before_the_store_is_accessed(self, broken: Any) -> None:
        """R7: a store that fails never receives it."""
        assert await broken.contains("../x") is False
        assert await self._admitted(broken, "../x") == []

    async def test_an_invalid_job_id_is_refused_even_if_the_store_holds_it(self, repo: Any) -> None:
        """R7: names stored by another program are inaccessible."""
        for name in self.foreign_names:
            await self.litter(repo, name)
            assert await repo.contains(name) is False
            assert await self._admitted(repo, name) == []

    async def test_names_are_refused_in_bulk_as_they_are_one_by_one(self, repo: Any) -> None:
        """R7: a job whose outcome could not be recorded is refused before it is launched (T9)."""
        names = [*(name for name in HOSTILE_NAMES if isinstance(name, str)), *JOBS]
        refused = []
        for name in names:
            try:
                repo.check_job_id(name)
            except InvalidJobIdError:
                refused.append(name)
        assert repo.invalid_names(names) == refused
        assert [job for job in JOBS if repo.invalid_names([job])] == [
            job for job in JOBS if job in refused
        ]
        longest = "x" * repo.plain_job_id_length
        assert not longest or repo.invalid_names([longest]) == []

    async def _admitted(self, repo: Any, name: Any) -> list[str]:
        """Return the entries that do not refuse an invalid name, with their results."""
        admitted = []
        for entry, function in self.entries(repo).items():
            failure = await failure_of(lambda function=function: function(name))  # type: ignore[misc]
            if not isinstance(failure, InvalidJobIdError):
                admitted.append(f"{entry}: {failure!r}")
        return admitted

    @staticmethod
    def _need_invalid(repo: Any, name: Any) -> None:
        """Skip a name that is valid because a subclass extends the permitted names."""
        if (
            isinstance(name, str)
            and 0 < len(name) <= repo.MAX_JOB_ID_LENGTH
            and set(name) <= set(repo.CHARSET)
            and {name[0], name[-1]} <= set(repo.CHARSET_START_END)
        ):
            pytest.skip(f"{name!r} is a job id in {repo!r}")


def _not_store_errors(failures: dict[str, Exception | None]) -> dict[str, Exception | None]:
    return {
        way: failure for way, failure in failures.items() if not isinstance(failure, StoreError)
    }
