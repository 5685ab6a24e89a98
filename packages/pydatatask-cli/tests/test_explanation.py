"""The verdict of ``explain`` is that of the pipeline, and its deciding facts do decide it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pydatatask_cli.commands.explain import collect_explanation
from pydatatask_cli.commands.plan import collect_plan
from pydatatask_cli.explanation import Node, explain, find_deciding_facts
from pydatatask_core.pipeline import Pipeline
from pydatatask_core.repository import (
    AggregateAndRepository,
    AggregateOrRepository,
    BlockingRepository,
    InProcessMetadataRepository,
    RelatedItemRepository,
    Repository,
    SucceededRepository,
)
from pydatatask_core.task import Task

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

JOBS = ("a", "b", "c")
Shape = Any

LEAVES = 5
RECORDS = 2  # so many leaves hold records of outcomes, the others names of jobs


class Idle(Task):
    async def update(self) -> bool:
        return False

    async def launch(self, job: str) -> None:
        raise AssertionError("nothing is launched here")


shapes: st.SearchStrategy[Shape] = st.recursive(
    st.integers(0, LEAVES - 1),
    lambda inner: st.one_of(
        st.tuples(st.just("and"), st.lists(inner, max_size=3)),
        st.tuples(st.just("or"), st.lists(inner, max_size=3)),
        st.tuples(st.just("unless"), inner, inner, st.booleans()),
        st.tuples(st.just("ok"), st.integers(0, RECORDS - 1)),
        st.tuples(st.just("map"), inner, st.sets(st.sampled_from(JOBS))),
        st.tuples(st.just("related"), inner, st.integers(RECORDS, LEAVES - 1), st.booleans()),
    ),
    max_leaves=8,
)
records = st.dictionaries(st.sampled_from(JOBS), st.sampled_from([{}, {"success": False}]))
names = st.dictionaries(st.sampled_from(JOBS), st.sampled_from([*JOBS, "zz", None]))
contents = st.tuples(*[records] * RECORDS, *[names] * (LEAVES - RECORDS))


def build(shape: Shape, leaves: list[InProcessMetadataRepository]) -> Repository:
    if isinstance(shape, int):
        return leaves[shape]
    kind, *rest = shape
    if kind in ("and", "or"):
        children = {f"c{n}": build(child, leaves) for n, child in enumerate(rest[0])}
        return (AggregateAndRepository if kind == "and" else AggregateOrRepository)(**children)
    if kind == "unless":
        return BlockingRepository(build(rest[0], leaves), build(rest[1], leaves), rest[2])
    if kind == "ok":
        return SucceededRepository(leaves[rest[0]])
    if kind == "map":
        chosen = rest[1]
        return build(rest[0], leaves).map(lambda value: value, lambda job: job in chosen)
    return RelatedItemRepository(build(rest[0], leaves), leaves[rest[1]], prefetch_lookup=rest[2])


def pipeline_of(
    links: list[tuple[Shape, int]], values: Sequence[dict[str, Any]], custom: bool
) -> tuple[Pipeline, Task]:
    leaves = [InProcessMetadataRepository(dict(value)) for value in values]
    built = [build(shape, leaves) for shape, _ in links]
    task = Idle("it", AggregateOrRepository(x=built[0]) if custom else None)
    for number, (repo, (_, kind)) in enumerate(zip(built, links, strict=True)):
        options: list[dict[str, Any]] = [
            {"is_input": True},
            {"inhibits_start": True},
            {"is_status": True, "inhibits_start": True, "inhibits_output": True},
        ]
        task.link(f"l{number}", repo, **options[kind])
    return Pipeline([task]), task


scenes = st.builds(
    pipeline_of,
    st.lists(st.tuples(shapes, st.integers(0, 2)), min_size=1, max_size=3),
    contents,
    st.booleans(),
)


@asynccontextmanager
async def looked_at(pipeline: Pipeline) -> AsyncIterator[None]:
    await pipeline.open("inspect")
    yield
    await pipeline.close()


async def flip(leaf: Node) -> None:
    """Change the data so that the fact of a leaf is negated."""
    assert isinstance(leaf.repo, InProcessMetadataRepository)
    if leaf.fact:
        await leaf.repo.delete(leaf.job)
    else:
        await leaf.repo.dump(leaf.job, {})


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(scenes)
async def test_the_verdict_is_that_of_the_pipeline(scene: tuple[Pipeline, Task]) -> None:
    pipeline, task = scene
    async with looked_at(pipeline):
        ready = await pipeline.gather_ready_jobs(task)

        found = {job for job in JOBS if (await explain(task, job)).is_true()}

    assert found == ready


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(scenes, st.sampled_from(JOBS))
async def test_negating_the_deciding_facts_negates_the_verdict(
    scene: tuple[Pipeline, Task], job: str
) -> None:
    pipeline, task = scene
    root = await explain(task, job)
    blamed, alone = find_deciding_facts(root)
    chosen = blamed[:1] if alone else blamed
    keys = {leaf.key for leaf in chosen}

    if blamed:
        assert root.is_true(keys) != root.is_true()
    # Change actual data as well where the facts are jobs of stores and a change of one affects no
    # other: filters and translations may depend on values in a store.
    real = all(isinstance(leaf.repo, InProcessMetadataRepository) for leaf in chosen)
    if chosen and real and not _looks_at_values(root):
        for leaf in chosen:
            await flip(leaf)
        async with looked_at(pipeline):
            assert (job in await pipeline.gather_ready_jobs(task)) != root.is_true()


def _looks_at_values(root: Node) -> bool:
    return (
        any(leaf.repo is None for leaf in root.leaves())
        or len({leaf.job for leaf in root.leaves()}) > 1
    )


@pytest.mark.parametrize(
    ("values", "blamed", "alone"),
    [
        ([{}, {"a": {}}, {"a": {}}], ["l1", "l2"], False),
        ([{"a": {}}, {"a": {}}, {}], ["l1"], True),
        ([{"a": {}}, {}, {"a": {}}], ["l2"], True),
    ],
)
async def test_the_deciding_facts_are_minimal(
    values: list[dict[str, Any]], blamed: list[str], alone: bool
) -> None:
    _, task = pipeline_of([(0, 0), (1, 1), (2, 1)], [*values, {}, {}], custom=False)
    if not alone:
        blamed = ["l0", *blamed]

    found, one_is_enough = find_deciding_facts(await explain(task, "a"))

    assert [leaf.label for leaf in found] == blamed
    assert one_is_enough is alone


async def test_if_no_change_helps_no_fact_is_deciding() -> None:
    _, task = pipeline_of([(0, 0), (0, 1)], [{}] * LEAVES, custom=False)

    assert find_deciding_facts(await explain(task, "a")) == ([], False)


async def test_a_job_whose_outcome_could_not_be_recorded_is_shown_as_held() -> None:
    class Dotted(InProcessMetadataRepository):
        CHARSET = "ab."

    task = Idle("t")
    task.link("source", Dotted({"a.b": 1, "a": 1}), is_input=True)
    task.link("done", InProcessMetadataRepository(), is_status=True, inhibits_start=True)
    pipeline = Pipeline([task])
    await pipeline.open("inspect")
    try:
        told = (await collect_explanation(pipeline, "t", "a.b"))["held"]
        plan = await collect_plan(pipeline)
    finally:
        await pipeline.close()
    assert "its outcome cannot be recorded in done" in told
    assert plan["launch"] == [{"task": "t", "job": "a"}]
    assert plan["wait"] == [{"task": "t", "job": "a.b", "reason": told}]
