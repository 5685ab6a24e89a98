"""The data model of metadata, and values copied between stores."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections import OrderedDict, defaultdict, deque
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import UnsupportedValueError
from pydatatask_core.pipeline import Pipeline
from pydatatask_core.repository import (
    InProcessMetadataRepository,
    JsonMetadataFileRepository,
    YamlMetadataFileRepository,
)
from pydatatask_core.repository.data_model import MAX_DEPTH, to_data_model
from pydatatask_core.task import InProcessSyncTask
from pydatatask_core.testing import same_metadata

if TYPE_CHECKING:
    from pathlib import Path

    from pydatatask_core.repository import MetadataRepository

REPO = InProcessMetadataRepository()


def converted(value: Any) -> Any:
    return to_data_model("job", REPO, value)


@pytest.mark.parametrize("kind", [YamlMetadataFileRepository, JsonMetadataFileRepository])
async def test_a_job_copies_handwritten_values(tmp_path: Path, kind: Any) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.yaml").write_text("day: 2024-05-01\n2024: x\n")
    (tmp_path / "in" / "b.yaml").write_text("a: !!omap [b: 1, c: {2: 3}]\nd: !!set {e, 1}\n")
    (tmp_path / "in" / "c.yaml").write_text("level: 1\nlevel: 9\n")
    source, target = YamlMetadataFileRepository(tmp_path / "in"), kind(tmp_path / "out")
    done = InProcessMetadataRepository()

    @InProcessSyncTask("copy", done)
    async def copy_value(job: str, inp: MetadataRepository, out: MetadataRepository) -> None:
        await out.dump(job, await inp.info(job))

    copy_value.link("inp", source, is_input=True)
    copy_value.link("out", target, is_output=True)
    async with Pipeline([copy_value]) as pipeline:
        await pipeline.run()

    assert await target.info_all() == {
        "a": {"day": date(2024, 5, 1), 2024: "x"},
        "b": {"a": [("b", 1), ("c", {2: 3})], "d": {"e", 1}},
    }
    record = await done.info("c")
    assert not record["success"]
    assert "c.yaml', line 2, column 1: the key 'level' occurs twice" in record["exception"]


def test_a_value_without_numpy_scalars_is_not_copied() -> None:
    value = {"a": [1, {2: [("b", {3})]}], "c": {"d": 1}}
    found = converted(value)
    assert found is value


def test_a_value_with_numpy_scalars_is_copied_and_not_changed() -> None:
    numpy: Any = pytest.importorskip("numpy")
    inner = {"b": [numpy.float64(1.5)]}
    value = {"a": inner, "c": [1]}
    found = converted(value)
    assert same_metadata(found, {"a": {"b": [1.5]}, "c": [1]})
    assert type(inner["b"][0]) is numpy.float64
    assert found["c"] is value["c"]


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda numpy: numpy.array([1, 2]), "numpy.ndarray, .* convert it with .tolist()"),
        (lambda numpy: numpy.array([]), "numpy.ndarray, .* convert it with .tolist()"),
        (lambda numpy: numpy.longdouble(1), r"numpy.longdouble, .* convert it with float\("),
        (lambda numpy: numpy.complex128(1j), r"numpy.complex128, .* convert it with str\("),
        (lambda numpy: numpy.datetime64("2024-05-01"), r"\.astype\('datetime64\[us\]'\).item\("),
        (lambda numpy: numpy.timedelta64(1, "s"), r"numpy.timedelta64, .*\.total_seconds\(\)"),
        (lambda numpy: numpy.ma.masked, "numpy.ma.* convert it with .tolist()"),
        (lambda numpy: numpy.zeros(1, "i,i")[0], "numpy.void, .* convert it with .tolist()"),
    ],
)
def test_other_numpy_types_are_refused_with_the_conversion(make: Any, named: str) -> None:
    value = make(pytest.importorskip("numpy"))
    with pytest.raises(UnsupportedValueError, match=rf"value\['a'\]\[0\] is an? {named}|{named}"):
        converted({"a": [value]})


def test_numpy_is_not_imported() -> None:
    program = (
        "import asyncio, sys; from pydatatask_core.repository import YamlMetadataFileRepository; "
        "asyncio.run(YamlMetadataFileRepository('/dev/shm/none').info('a')); "
        "from pydatatask_core.repository.data_model import to_data_model; "
        "to_data_model('a', None, {1: [2.5]}); sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_a_coroutine_is_refused_with_a_hint_to_await_it() -> None:
    coroutine = REPO.info("a")
    with pytest.raises(UnsupportedValueError, match=r"is a coroutine, .*; await it first"):
        converted({"a": coroutine})
    coroutine.close()


@pytest.mark.parametrize(
    ("make", "levels"),
    [
        (lambda inner: [inner], MAX_DEPTH),
        (lambda inner: {1: inner}, MAX_DEPTH),
        (lambda inner: [(inner, 0)], MAX_DEPTH // 2),
    ],
)
def test_every_kind_of_container_counts_as_a_level(make: Any, levels: int) -> None:
    value: Any = 0
    for _ in range(levels):
        value = make(value)
    converted(value)
    with pytest.raises(UnsupportedValueError, match="nested too deeply: more than 500 levels"):
        converted([value])


def test_a_set_is_a_level() -> None:
    value: Any = {1}
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    converted(value)
    with pytest.raises(UnsupportedValueError, match="nested too deeply"):
        converted([value])


@pytest.mark.parametrize(
    "value",
    [
        {"a": {1, 2}},
        [(1, [2])],
        ([1], {"a": [2]}),
        OrderedDict(a=[1]),
        defaultdict(list, a=[1]),
        deque([[1]]),
        [bytearray(b"a")],
    ],
    ids=lambda value: type(value).__name__,
)
async def test_memory_shares_no_container_with_its_callers(value: Any) -> None:
    repo = InProcessMetadataRepository()
    before = copy.deepcopy(value)
    await repo.dump("a", value)
    for mine in (value, await repo.info("a"), (await repo.info_all())["a"]):
        spoil(mine)
        assert await repo.info("a") == before
        assert type(await repo.info("a")) is type(before)


def spoil(value: Any) -> None:
    """Modify a container and all nested ones."""
    for part in list(value.values() if isinstance(value, dict) else value):
        if isinstance(part, dict | list | set | tuple | bytearray):
            spoil(part)
    if isinstance(value, list | deque):
        value.append(0)
    elif isinstance(value, dict):
        value["new"] = []
    elif isinstance(value, set):
        value.add("new")
    elif isinstance(value, bytearray):
        value += b"new"


HUGE = 10**5000
"""An integer with more digits than Python converts to decimal, so that its ``repr`` raises."""


@pytest.mark.parametrize("kind", [YamlMetadataFileRepository, JsonMetadataFileRepository])
@pytest.mark.parametrize("value", [{HUGE, -HUGE, 1}, {HUGE: {HUGE}}], ids=["set", "key"])
async def test_an_enormous_integer_is_written_and_read(
    tmp_path: Path, kind: Any, value: Any
) -> None:
    repo = kind(tmp_path)
    await repo.dump("a", value)
    found = await repo.info("a")
    assert (found == value) is True


@pytest.mark.parametrize(
    "value",
    [{(HUGE,): 1}, {(HUGE,)}, {HUGE: (1, 2)}, [{"a": {(HUGE,)}}]],
    ids=["key", "member", "value", "inside"],
)
def test_an_enormous_integer_in_a_refused_value_keeps_the_message(value: Any) -> None:
    with pytest.raises(UnsupportedValueError, match="tuple, which metadata cannot hold"):
        converted(value)
