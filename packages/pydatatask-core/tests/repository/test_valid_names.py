"""Repository.valid_names: filtering a listing gives the same result as checking each name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydatatask_core.repository import FileRepository


class Short(FileRepository):
    MAX_JOB_ID_LENGTH = 3


class Dotted(FileRepository):
    CHARSET = FileRepository.CHARSET + "."


class Capitals(FileRepository):
    @classmethod
    def is_valid_job_id(cls, job: str) -> bool:
        return super().is_valid_job_id(job) and job.isupper()


TEXTS = st.text(st.sampled_from("aZ0. \n\0\xe9\u0663\xb2"), max_size=5)
NAMES = TEXTS | st.sampled_from(["a" * 128, "a" * 129])


@pytest.mark.parametrize("kind", [FileRepository, Short, Dotted, Capitals])
def test_names_are_valid_together_if_they_are_valid_alone(kind: type[FileRepository]) -> None:
    repo = kind("folder")

    @given(st.lists(NAMES, max_size=4))
    def check(names: list[str]) -> None:
        alone = [name for name in names if repo.is_valid_job_id(name)]
        assert repo.valid_names(iter(names)) == alone

    check()
