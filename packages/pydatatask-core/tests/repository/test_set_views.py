"""Views agree with set algebra in every combination."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pydatatask_core.errors import InvalidJobIdError, StoreError
from pydatatask_core.pipeline.readiness import Readiness
from pydatatask_core.repository import (
    AggregateAndRepository,
    AggregateOrRepository,
    BlockingRepository,
    InProcessMetadataRepository,
    MapRepository,
    RelatedItemRepository,
    Repository,
    Snapshot,
    SucceededRepository,
)
from pydatatask_core.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable

JOBS = ("a", "b", "c", "d", "e")
RECORDS, TRANSLATORS = range(3), range(3, 5)


class Leaf(InProcessMetadataRepository):
    """A repository that counts its listings and reads."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.listed_leaves = 0
        self.read: Counter[str] = Counter()

    async def keys(self) -> frozenset[str]:
        self.listed_leaves += 1
        return await super().keys()

    async def info(self, job: str) -> Any:
        self.read[job] += 1
        return await super().info(job)

    def __repr__(self) -> str:
        return self.name


class Idle(Task):
    """A task that is used for its readiness only."""

    async def update(self) -> bool:
        return False

    async def launch(self, job: str) -> None:
        raise AssertionError(job)


class World:
    """Leaves, views on earlier nodes, and a model of each node in set algebra."""

    def __init__(self, plan: list[tuple[str, list[int], Any]]) -> None:
        self.leaves = [Leaf(f"leaf{number}") for number in (*RECORDS, *TRANSLATORS)]
        self.nodes: list[Repository] = list(self.leaves)
        self.kinds: list[tuple[str, list[int], Any]] = [("leaf", [], None)] * len(self.nodes)
        for kind, picks, extra in plan:
            below = [pick % len(self.nodes) for pick in picks]
            if kind == "succeeded":
                below = [RECORDS[picks[0] % len(RECORDS)]]
            if kind.startswith("related"):
                below[1] = TRANSLATORS[picks[1] % len(TRANSLATORS)]
            self.nodes.append(self.make(kind, [self.nodes[index] for index in below], extra))
            self.kinds.append((kind, below, extra))

    @staticmethod
    def make(kind: str, below: list[Any], extra: Any) -> Repository:
        named = {f"n{number}": repo for number, repo in enumerate(below)}
        makers: dict[str, Callable[[], Repository]] = {
            "and": lambda: AggregateAndRepository(**named),
            "or": lambda: AggregateOrRepository(**named),
            "unless": lambda: BlockingRepository(below[0], below[1]),
            "unless, asked": lambda: BlockingRepository(below[0], below[1], False),
            "map": lambda: MapRepository(below[0], str, extra and extra.__contains__),
            "succeeded": lambda: SucceededRepository(below[0]),
            "related": lambda: RelatedItemRepository(below[0], below[1]),
            "related, read again": lambda: RelatedItemRepository(
                below[0], below[1], prefetch_lookup=False
            ),
        }
        return makers[kind]()

    def model(self) -> list[set[str]]:
        """Return the jobs of every node by set algebra."""
        found: list[set[str]] = []
        for number, (kind, below, extra) in enumerate(self.kinds):
            sets = [found[index] for index in below]
            match kind.split(",")[0]:
                case "leaf":
                    jobs = set(self.leaves[number].data)
                case "and":
                    jobs = set.intersection(*sets) if sets else set()
                case "or":
                    jobs = set().union(*sets)
                case "unless":
                    jobs = sets[0] - sets[1]
                case "map":
                    jobs = sets[0] if extra is None else sets[0] & extra
                case "succeeded":
                    data = self.leaves[below[0]].data
                    jobs = {job for job in sets[0] if data[job].get("success") is not False}
                case "related":
                    data = self.leaves[below[1]].data
                    jobs = {job for job in sets[1] if data[job] in sets[0]}
            found.append(jobs)
        return found

    def change(self, leaf: int, job: str, value: Any) -> None:
        """Add a job, or remove it if present, so that no value changes in place."""
        data = self.leaves[leaf].data
        if job in data:
            del data[job]
        elif leaf in TRANSLATORS:
            data[job] = value[0]
        else:
            data[job] = value[1]


VALUES = st.tuples(
    st.sampled_from([*JOBS, None]),
    st.sampled_from([{}, {"success": True}, {"success": False}, {"reason": "an older release"}]),
)
CHANGES = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(JOBS), VALUES),
    max_size=6,
    unique_by=lambda change: change[:2],
)
PICK = st.integers(0, 100)
NODE = st.one_of(
    st.tuples(st.sampled_from(["and", "or"]), st.lists(PICK, max_size=3), st.none()),
    st.tuples(
        st.sampled_from(["unless", "unless, asked", "related", "related, read again"]),
        st.lists(PICK, min_size=2, max_size=2),
        st.none(),
    ),
    st.tuples(
        st.just("map"),
        st.lists(PICK, min_size=1, max_size=1),
        st.none() | st.sets(st.sampled_from(JOBS), min_size=1),
    ),
    st.tuples(st.just("succeeded"), st.lists(PICK, min_size=1, max_size=1), st.none()),
)
PLAN = st.lists(NODE, min_size=1, max_size=7)


@settings(max_examples=300, deadline=None)
@given(PLAN, st.lists(st.tuples(CHANGES, st.booleans()), min_size=1, max_size=6))
def test_readiness_over_rounds_of_changes_agrees_with_set_algebra(
    plan: list[Any], rounds: list[tuple[list[Any], bool]]
) -> None:
    world = World(plan)
    tasks = [Idle(f"t{number}", ready=node) for number, node in enumerate(world.nodes)]
    readiness = Readiness()

    async def check() -> None:
        for changes, looked_at_between in rounds:
            for change in changes:
                world.change(*change)
            if looked_at_between:
                await world.nodes[-1].keys()
            for leaf in world.leaves:
                leaf.listed_leaves = 0

            found = await readiness.gather(tasks)

            assert [getattr(found[task], "jobs", None) for task in tasks] == world.model()
            assert all(leaf.listed_leaves <= 1 for leaf in world.leaves)

    asyncio.run(check())


@settings(max_examples=300, deadline=None)
@given(PLAN, st.lists(CHANGES, min_size=1, max_size=3))
def test_every_query_of_a_repository_gives_the_same_answer(
    plan: list[Any], rounds: list[list[Any]]
) -> None:
    world = World(plan)

    async def check() -> None:
        for changes in rounds:
            for change in changes:
                world.change(*change)
            for node, jobs in zip(world.nodes, world.model(), strict=True):
                assert await node.keys() == jobs
                assert sorted([job async for job in node]) == sorted(jobs)
                assert {job for job in JOBS if await node.contains(job)} == jobs
                assert set(await node.info_all()) == jobs

    asyncio.run(check())


@settings(max_examples=300, deadline=None)
@given(PLAN, CHANGES, st.sets(st.sampled_from(JOBS)))
def test_candidates_are_an_upper_bound_and_selection_is_exact(
    plan: list[Any], changes: list[Any], among: set[str]
) -> None:
    world = World(plan)
    for change in changes:
        world.change(*change)

    async def check() -> None:
        listing = Snapshot()
        for node, jobs in zip(world.nodes, world.model(), strict=True):
            assert await listing.candidates(node) >= jobs
            assert await listing.select(node, among) == among & jobs
            assert await listing.keys(node) == jobs

    asyncio.run(check())


@pytest.fixture
def leaf() -> Leaf:
    return Leaf("leaf")


async def test_values_are_read_for_candidates_only_and_once(leaf: Leaf) -> None:
    leaf.data.update({job: {"success": job != "b"} for job in JOBS})
    wanted = InProcessMetadataRepository({"a": 1, "b": 1, "elsewhere": 1})
    readiness, task = Readiness(), Idle("t", ready=wanted & SucceededRepository(leaf))

    first = await readiness.gather([task])
    await wanted.dump("c", 1)
    second = await readiness.gather([task])

    assert (first[task].jobs, second[task].jobs) == ({"a"}, {"a", "c"})  # type: ignore[union-attr]
    assert leaf.read == {"a": 1, "b": 1, "c": 1}


async def test_a_round_without_changes_costs_one_listing_per_leaf(
    leaf: Leaf,
) -> None:
    leaf.data.update(a={"success": True}, b={"success": False})
    done = Leaf("done")
    readiness, task = Readiness(), Idle("t", ready=SucceededRepository(leaf) - done)
    first = await readiness.gather([task])
    leaf.read.clear()
    leaf.listed_leaves = done.listed_leaves = 0

    second = await readiness.gather([task])

    assert second[task] is first[task]
    assert (leaf.listed_leaves, done.listed_leaves, leaf.read) == (1, 1, {})


async def test_a_verdict_is_forgotten_when_its_job_vanished_and_no_other_job_was_ready(
    leaf: Leaf,
) -> None:
    leaf.data["a"] = {"success": False}
    other = InProcessMetadataRepository({"a": 1})
    readiness, task = Readiness(), Idle("t", ready=other & SucceededRepository(leaf))
    await readiness.gather([task])
    del leaf.data["a"]
    await readiness.gather([task])
    leaf.data["a"] = {"success": True}

    found = await readiness.gather([task])

    assert found[task].jobs == {"a"}  # type: ignore[union-attr]


async def test_a_record_that_vanished_before_it_was_read_is_not_a_success(leaf: Leaf) -> None:
    view = SucceededRepository(leaf)
    leaf.data["a"] = {"success": False}
    listing = Snapshot()
    candidates = await listing.candidates(view)
    del leaf.data["a"]

    assert await listing.select(view, candidates) == set()


async def test_a_related_view_of_a_union_is_not_treated_as_a_union() -> None:
    """It is an instance of AggregateOrRepository, but has other children."""
    base = AggregateOrRepository(a=InProcessMetadataRepository(), b=InProcessMetadataRepository())
    translator = InProcessMetadataRepository({"a": "b"})
    source = InProcessMetadataRepository({"a": 1})

    ready = source - RelatedItemRepository(base, translator)

    assert await ready.keys() == {"a"}


class Odd(MapRepository):
    """A subclass that overrides a documented method."""

    async def filter_jobs(self, iterator: Any) -> Any:
        async for job in iterator:
            if job != "b":
                yield job


class Hyphened(InProcessMetadataRepository):
    CHARSET = Repository.CHARSET + "-"


async def test_a_union_ignores_children_for_which_a_job_id_is_invalid() -> None:
    wide, narrow = Hyphened({"a-b": 1, "c": 2}), InProcessMetadataRepository({"c": 3})
    either = AggregateOrRepository(narrow=narrow, wide=wide)

    assert await either.info("a-b") == {"narrow": None, "wide": 1}
    assert await either.info_all() == {
        "a-b": {"narrow": None, "wide": 1},
        "c": {"narrow": 3, "wide": 2},
    }
    await either.delete("a-b")
    assert await either.keys() == {"c"}
    with pytest.raises(InvalidJobIdError, match="'d_e'"):
        await either.delete("d_e")


async def test_info_of_many_jobs_is_read_from_each_child_in_bulk() -> None:
    class Bulk(InProcessMetadataRepository):
        asked = 0

        async def info_many(self, jobs: Any) -> dict[str, Any]:
            self.asked += 1
            return {job: await self.info(job) for job in jobs}

    left, right = Bulk(dict.fromkeys(JOBS, 1)), Bulk(dict.fromkeys(JOBS, 2))
    both = AggregateAndRepository(left=left, right=right)

    assert await both.info_all() == {job: {"left": 1, "right": 2} for job in JOBS}
    assert (left.asked, right.asked) == (1, 1)


async def test_an_error_for_one_of_many_jobs_keeps_its_cause() -> None:
    class Broken(InProcessMetadataRepository):
        async def info(self, job: str) -> Any:
            raise StoreError("read", self, "why") from OSError("this is why")

    with pytest.raises(StoreError) as caught:
        await Broken().info_many(["a", "b"])
    assert repr(caught.value.__cause__) == "OSError('this is why')"


async def test_a_subclass_may_filter_in_the_documented_way(leaf: Leaf) -> None:
    leaf.data.update(a=1, b=2)
    odd = Odd(leaf, str)

    assert await odd.keys() == {"a"}
    assert [job async for job in odd] == ["a"]
    assert await (odd | odd).keys() == {"a"}


def test_a_child_may_have_any_name() -> None:
    assert AggregateAndRepository(self=Leaf("x")).children.keys() == {"self"}
