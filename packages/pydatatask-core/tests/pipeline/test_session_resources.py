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
from pydatatask_core.errors import PipelineError, SessionError
from pydatatask_core.pipeline.session_resources import open_for_reading

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
    a, b, c = session.resources[:3]

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


async def test_reading_opens_only_the_resources_of_repositories(
    session: Session, opened: list[str]
) -> None:
    pipeline = make(session)
    one, two = pipeline.tasks.values()

    async with open_for_reading(pipeline, [one]):
        assert opened == ["a"]
        assert one.runtime is pipeline
        assert pipeline.mode == "inspect"
    assert one.runtime is None
    async with open_for_reading(pipeline, [one, two]):
        assert opened == ["a", "a", "b"]

    assert not session.is_open


async def test_reading_needs_no_resource_that_only_tasks_use(session: Session) -> None:
    @session.resource
    async def broken() -> AsyncIterator[str]:
        raise ConnectionError("the machine of the processes is unreachable")
        yield "never"

    pipeline = make(session)
    with pytest.raises(SessionError, match="unreachable"):
        await pipeline.open("inspect")
    async with open_for_reading(pipeline, pipeline.tasks.values()):
        assert await pipeline.tasks["one"].links["out"].repo.keys() == set()


async def test_reading_ends_with_the_session_closed_although_the_reader_failed(
    session: Session,
) -> None:
    pipeline = make(session)
    one = pipeline.tasks["one"]

    async def read() -> None:
        async with open_for_reading(pipeline, [one]):
            raise LookupError("the reader failed")

    with pytest.raises(LookupError, match="the reader failed"):
        await read()
    assert not session.is_open
    assert one.runtime is None


async def test_a_resource_called_by_a_method_of_a_repository_is_opened(
    session: Session, opened: list[str]
) -> None:
    @session.resource
    async def client() -> AsyncIterator[str]:
        opened.append("client")
        yield "client"

    class Calling(InProcessMetadataRepository):
        async def keys(self) -> frozenset[str]:
            return frozenset({client()})

    async def quiet(job: str) -> None:
        """Refer to nothing."""

    task = InProcessSyncTask("task", InProcessMetadataRepository(), func=quiet)
    task.link("inp", Calling(), is_input=True)
    async with open_for_reading(Pipeline([task], session), [task]):
        assert await task.links["inp"].repo.keys() == {"client"}
    assert opened == ["client"]
