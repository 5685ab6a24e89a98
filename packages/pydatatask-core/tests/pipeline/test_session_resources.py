"""Opening a pipeline for some of its tasks opens only the session resources that they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import (
    InProcessMetadataRepository,
    InProcessSyncTask,
    MetadataRepository,
    Pipeline,
    Session,
)
from pydatatask_core.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Remote(InProcessMetadataRepository):
    """A repository that uses a live resource, like those of backends."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self.client = client


@pytest.fixture
def opened() -> list[str]:
    return []


@pytest.fixture
def session(opened: list[str]) -> Session:
    session = Session()

    def add(name: str) -> None:
        async def manager() -> AsyncIterator[str]:
            opened.append(name)
            yield name

        manager.__name__ = name
        session.resource(manager)

    for name in ("a", "b", "c"):
        add(name)
    return session


def make(session: Session) -> Pipeline:
    a, b, c = session.resources

    async def calls_c(job: str, out: MetadataRepository) -> None:
        await out.dump(job, c())

    one = InProcessSyncTask("one", InProcessMetadataRepository(), func=calls_c)
    one.link("out", Remote(a), is_output=True)

    async def quiet(job: str) -> None:
        """Refer to nothing."""

    two = InProcessSyncTask("two", InProcessMetadataRepository(), func=quiet)
    two.link("viewed", Remote(b).map(str), is_input=True)
    return Pipeline([one, two], session)


async def test_only_resources_that_links_and_functions_refer_to_are_opened(
    session: Session, opened: list[str]
) -> None:
    pipeline = make(session)

    await pipeline.open("one", only=["one"])
    await pipeline.tasks["one"].launch("j")
    out = pipeline.tasks["one"].links["out"].repo
    await pipeline.close()

    assert opened == ["a", "c"]
    assert await out.info("j") == "c"


async def test_the_resource_of_a_repository_behind_a_view_is_opened(
    session: Session, opened: list[str]
) -> None:
    pipeline = make(session)

    await pipeline.open("one", only=["two"])
    await pipeline.close()

    assert opened == ["b"]


async def test_by_default_all_resources_are_opened(session: Session, opened: list[str]) -> None:
    async with make(session):
        assert opened == ["a", "b", "c"]


async def test_the_error_names_a_task_that_does_not_exist(
    session: Session, opened: list[str]
) -> None:
    with pytest.raises(PipelineError, match=r"no task 'three'; there are: one, two"):
        await make(session).open("one", only=["three"])

    assert opened == []
