"""Contents of collections, and the commands sent to the server."""

from __future__ import annotations

import pickle
from contextlib import AsyncExitStack, suppress
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import bson
import pymongo
import pytest
from bson import Binary, Regex
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.son import SON

from pydatatask_core import InProcessSyncTask, Pipeline, Session
from pydatatask_core.errors import (
    RepositoryConfigurationError,
    SessionError,
    StoreError,
    UnsupportedValueError,
)
from pydatatask_core.testing import same_metadata
from pydatatask_mongo import MongoMetadataRepository

MIB = 1024 * 1024


def names(commands: list[Any]) -> list[str]:
    return [next(iter(command)) for command in commands]


async def found(repo: Any, **filter: Any) -> set[str]:
    return set(await repo.query(filter).keys())


async def test_a_value_whose_document_is_too_large_is_rejected(repo: Any) -> None:
    await repo.dump("job", "old")
    overhead = len(bson.encode({"_id": "job", "_pydatatask": "value", "value": b""}))

    with pytest.raises(UnsupportedValueError, match=r"job 'job'.* 16,777,217 bytes.*16 MiB"):
        await repo.dump("job", b"x" * (16 * MIB - overhead + 1))
    assert await repo.info("job") == "old"

    largest = b"x" * (16 * MIB - overhead)
    await repo.dump("job", largest)
    assert await repo.info("job") == largest


async def test_a_value_that_is_nested_too_deeply_for_a_document_is_rejected(repo: Any) -> None:
    def nested(levels: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for _ in range(levels - 1):
            value = {"a": value}
        return value

    with pytest.raises(UnsupportedValueError, match="more than 100 levels"):
        await repo.dump("job", nested(101))
    assert not await repo.contains("job")
    await repo.dump("job", nested(100))
    assert await repo.info("job") == nested(100)


async def test_a_document_of_another_program_is_read_changed_and_written(repo: Any) -> None:
    foreign = {
        "owner": ObjectId(),
        "uuid": Binary.from_uuid(UUID(int=7)),
        "name": Regex("^a"),
        "when": datetime(2024, 5, 1, tzinfo=UTC),
    }
    await repo.collection.insert_one({"_id": "job", **foreign})
    value = await repo.info("job")
    assert value == foreign

    await repo.dump("job", {**value, "day": date(2024, 5, 1)})
    assert await repo.info("job") == {**foreign, "day": date(2024, 5, 1)}
    assert await found(repo, owner=foreign["owner"]) == {"job"}
    assert await found(repo, **{"day.date": {"$lt": datetime(2024, 5, 2)}}) == {"job"}

    with pytest.raises(UnsupportedValueError, match=r"value\['a'\]\[1\] is a uuid.UUID.*str\("):
        await repo.dump("job", {"a": [ObjectId(), UUID(int=7)]})


async def test_a_duplicate_in_another_unique_index_is_reported(repo: Any) -> None:
    await repo.collection.create_index("name", unique=True)
    await repo.dump("one", {"name": "x"})
    with pytest.raises(StoreError, match=r"write job 'two'.*another document.*unique index"):
        await repo.dump("two", {"name": "x"})
    assert await repo.keys() == {"one"}


async def test_queries_find_dumped_values(repo: Any) -> None:
    early, late = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)
    await repo.dump("plain", {"status": "done", "at": late, "tries": [1, 2], "in": {"code": 7}})
    await repo.dump("tagged", {"status": "done", "at": early.replace(microsecond=1), "a.b": "x"})
    await repo.dump("list", [1, 2])
    await repo.dump("number", 5)

    assert await found(repo, status="done") == {"plain", "tagged"}
    assert await found(repo, at={"$gte": late}) == {"plain"}
    assert await found(repo, **{"at.date": {"$lt": late}}) == {"tagged"}
    assert await found(repo, **{"a%2Eb": "x"}) == {"tagged"}
    assert await found(repo, **{"in.code": 7}) == {"plain"}
    assert await found(repo, tries=2) == {"plain"}
    assert await found(repo, value=2) == {"list"}
    assert await found(repo, value={"$gt": 4}) == {"number"}


async def test_documents_of_0_4_3_are_read_unchanged(repo: Any) -> None:
    oid, when = ObjectId(), datetime(2024, 1, 1, 12, 30, tzinfo=UTC)
    fields = {"exit_code": 0, "bytes": Int64(5), "when": when, "oid": oid}
    await repo.collection.insert_one({"_id": "old", **fields})
    value = await repo.info("old")
    assert value == fields
    assert type(value["bytes"]) is int
    assert await repo.info_all() == {"old": fields}


@pytest.mark.parametrize(
    "options",
    [
        CodecOptions(tz_aware=False),
        CodecOptions(tz_aware=True),
        CodecOptions(uuid_representation=UuidRepresentation.STANDARD),
        CodecOptions(document_class=SON),
    ],
    ids=str,
)
async def test_values_do_not_depend_on_the_codec_options_of_the_collection(
    collection: Any, options: Any
) -> None:
    given = collection.with_options(codec_options=options)
    repo = MongoMetadataRepository(lambda: given)
    value = {"when": datetime(2024, 1, 1, tzinfo=UTC), "large": 2**40, "in": {"b": b"x", "l": [{}]}}
    await repo.dump("job", value)
    assert same_metadata(await repo.info("job"), value)
    assert same_metadata(await repo.info_all(), {"job": value})
    assert repo.collection is given


async def test_concerns_and_preferences_of_the_collection_are_used(
    collection: Any, commands: Any
) -> None:
    given = collection.with_options(
        write_concern=pymongo.WriteConcern(w=1, j=True),
        read_concern=pymongo.read_concern.ReadConcern("majority"),
    )
    repo = MongoMetadataRepository(lambda: given, "part")
    await repo.dump("job", 1)
    await repo.contains("job")
    update, find = commands.sent
    assert update["writeConcern"] == {"w": 1, "j": True}
    assert find["readConcern"] == {"level": "majority"}
    assert update["update"] == find["find"] == f"{collection.name}.part"


async def test_operations_on_a_job_send_one_command_with_its_id(repo: Any, commands: Any) -> None:
    await repo.dump("job", {"a": 1})
    await repo.contains("job")
    await repo.info("job")
    await repo.delete("job")
    update, contains, info, delete = commands.sent
    assert (update["updates"][0]["q"], update["updates"][0]["upsert"]) == ({"_id": "job"}, True)
    assert (contains["filter"], contains["projection"]) == ({"_id": "job"}, {"_id": 1})
    assert info["filter"] == {"_id": "job"}
    assert delete["deletes"][0]["q"] == {"_id": "job"}


async def test_listings_use_one_cursor_and_keys_fetch_no_values(repo: Any, commands: Any) -> None:
    await repo.collection.insert_many([{"_id": f"j{n}", "n": n} for n in range(12_000)])
    commands.sent.clear()

    assert len(await repo.keys()) == 12_000
    find, *more = commands.sent
    assert (find["projection"], names(more)) == (
        {"_id": 1},
        ["getMore", "getMore"],
    )
    commands.sent.clear()
    assert (await repo.info_all())["j7"] == {"n": 7}
    assert names(commands.sent) == ["find", "getMore", "getMore"]


async def test_an_iteration_that_is_closed_early_closes_its_cursor(
    repo: Any, commands: Any
) -> None:
    await repo.collection.insert_many([{"_id": f"j{n}"} for n in range(12_000)])
    commands.sent.clear()
    jobs = repo.unfiltered_iter()
    await anext(jobs)
    await jobs.aclose()
    assert names(commands.sent) == ["find", "killCursors"]


async def test_several_jobs_are_read_with_one_command(repo: Any, commands: Any) -> None:
    for number in range(5):
        await repo.dump(f"j{number}", [number])
    commands.sent.clear()
    assert await repo.info_many(["j1", "j3", "absent", "j1"]) == {
        "j1": [1],
        "j3": [3],
        "absent": {},
    }
    assert len(commands.sent) == 1


async def test_ids_that_are_not_strings_are_skipped_with_one_warning(
    repo: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await repo.collection.insert_many([{"_id": 5}, {"_id": ObjectId()}, {"_id": {"a": 1}}])
    await repo.dump("job", 1)
    assert await repo.keys() == {"job"}
    assert await repo.info_all() == {"job": 1}
    assert [job async for job in repo] == ["job"]
    assert len(caplog.messages) == 1
    assert "skipped 3 names" in caplog.text


async def test_a_view_neither_shows_nor_deletes_other_documents(repo: Any) -> None:
    for job, status in (("good", "done"), ("bad", "failed"), ("late", "done")):
        await repo.dump(job, {"status": status, "late": job == "late"})
    done = repo.query({"status": "done"})

    assert await done.keys() == {"good", "late"}
    assert await done.query({"late": False}).keys() == {"good"}
    assert await done.query({"status": "failed"}).keys() == set()
    assert not await done.contains("bad")
    assert await done.info("bad") == {}
    await done.delete("bad")
    assert await repo.contains("bad")
    await done.dump("bad", {"status": "done"})
    assert await done.keys() == {"bad", "good", "late"}
    await done.dump("bad", {"status": "failed"})
    assert await done.keys() == {"good", "late"}


async def test_the_server_applies_the_filter_of_a_view(repo: Any, commands: Any) -> None:
    view = repo.query({"a": 1})
    await view.keys()
    await view.contains("job")
    await repo.query({"_id": {"$gt": "a"}}).info("job")
    assert [command["filter"] for command in commands.sent] == [
        {"a": 1},
        {"_id": "job", "a": 1},
        {"$and": [{"_id": "job"}, {"_id": {"$gt": "a"}}]},
    ]


async def test_validate_rejects_an_invalid_filter(repo: Any) -> None:
    with pytest.raises(RepositoryConfigurationError, match=r"query\(.*nope"):
        await repo.query({"a": {"$nope": 1}}).validate()
    with pytest.raises(TypeError, match="a filter is a dict"):
        repo.query("status = 'done'")


async def test_validate_leaves_no_document(repo: Any) -> None:
    await repo.validate()
    assert await repo.collection.find_one({}) is None


async def test_a_leftover_probe_document_is_not_listed(
    repo: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await repo.collection.insert_one({"_id": ".pydatatask-probe"})
    assert await repo.keys() == set()
    assert await repo.info_all() == {}
    assert [job async for job in repo] == []
    assert caplog.messages == []
    await repo.validate()
    assert await repo.collection.find_one({}) is None


async def test_validate_warns_of_unacknowledged_writes(
    collection: Any, caplog: pytest.LogCaptureFixture
) -> None:
    given = collection.with_options(write_concern=pymongo.WriteConcern(w=0))
    with suppress(RepositoryConfigurationError):  # FerretDB 1 sends an unexpected response
        await MongoMetadataRepository(lambda: given).validate()
    assert "w=0" in caplog.text


async def test_a_collection_can_be_a_session_resource(collection: Any) -> None:
    session = Session()

    @session.resource
    async def jobs() -> Any:
        yield collection

    repo = MongoMetadataRepository(jobs, "part")
    assert repr(repo).endswith("jobs>, 'part')")
    assert repo.identity is None
    with pytest.raises(SessionError, match="not open"):
        _ = repo.collection
    with pytest.raises(SessionError, match="not open"):
        await repo.keys()
    async with session:
        await repo.dump("job", 1)
        assert repo.collection.full_name == f"{collection.full_name}.part"
        assert (
            repr(repo) == f"MongoMetadataRepository(<collection {collection.full_name!r}>, 'part')"
        )
        assert repo.identity is not None
        assert repo.identity.startswith(f"mongodb:{collection.full_name}.part@")


async def test_a_session_that_is_opened_again_provides_a_new_collection(collection: Any) -> None:
    session, given = Session(), iter([collection["first"], collection["second"]])

    @session.resource
    async def jobs() -> Any:
        yield next(given)

    repo = MongoMetadataRepository(jobs)
    async with session:
        await repo.dump("job", 1)
    async with session:
        assert await repo.keys() == set()
        assert str(repo.identity).startswith(f"mongodb:{collection.full_name}.second@")


async def test_a_pipeline_that_opens_one_task_opens_its_resource(
    collection: Any,
) -> None:
    session = Session()

    @session.resource
    async def jobs() -> Any:
        yield collection

    async def body(job: str) -> None: ...

    done = MongoMetadataRepository(jobs, "done")
    task = InProcessSyncTask("task", done.query({"a": 1}), func=body)
    async with AsyncExitStack() as stack:
        pipeline = Pipeline([task], session)
        await pipeline.open("one", only=["task"])
        stack.push_async_callback(pipeline.close)
        assert await done.keys() == set()


async def test_a_view_has_an_identity_of_its_own(repo: Any) -> None:
    view = repo.query({"b": 1, "a": {"$gt": datetime(2024, 1, 1, tzinfo=UTC)}})
    assert view.identity == repo.query(dict(reversed(view._filter.items()))).identity
    assert view.identity != repo.identity
    assert repr(view).startswith(f"{repo!r}.query({{'b': 1, ")


async def test_a_view_has_the_location_of_its_collection(repo: Any) -> None:
    assert repo.query({"a": 1}).location == repo.location


async def test_equivalent_names_of_a_server_are_the_same_location() -> None:
    clients = [
        pymongo.AsyncMongoClient[Any](f"mongodb://{host}", connect=False) for host in _SPELLINGS
    ]
    try:
        places = {
            MongoMetadataRepository(lambda c=c: c["database"]["jobs"], "part").location  # type: ignore[misc]
            for c in clients
        }
        assert len(places) == 1
        other = MongoMetadataRepository(lambda: clients[0]["database"]["jobs"])
        assert other.location not in places
    finally:
        for client in clients:
            await client.close()


_SPELLINGS = ("localhost", "127.0.0.1:27017", "LOCALHOST", "[::1]")


async def test_passwords_are_not_shown(refused: Any) -> None:
    repo = MongoMetadataRepository(lambda: refused["database"]["jobs"])
    with pytest.raises(StoreError) as failure:
        await repo.keys()
    assert "hunter2" not in f"{failure.value} {repo!r} {repo.identity}"


class _Plus(MongoMetadataRepository):
    async def info(self, job: str) -> Any:
        return {"more": await super().info(job)}


async def test_bulk_methods_use_the_info_of_a_subclass(collection: Any) -> None:
    repo = _Plus(lambda: collection)
    await repo.dump("job", 1)
    assert await repo.info_all() == await repo.info_many(["job"]) == {"job": {"more": 1}}
    assert isinstance(repo.query({}), _Plus)


def _nothing() -> None:
    """Return None; this callable can be pickled."""


def test_a_repository_can_be_pickled_if_its_callable_can() -> None:
    repo = MongoMetadataRepository(_nothing, "part").query({"a": 1})  # type: ignore[arg-type]
    again = pickle.loads(pickle.dumps(repo))
    assert repr(again) == repr(repo)


@pytest.mark.parametrize("wrong", ["collection", "database", "client", "nothing", "blocking"])
async def test_the_error_names_an_object_that_is_not_an_asyncio_collection(
    collection: Any, mongodb: Any, wrong: str
) -> None:
    with pymongo.MongoClient[Any](mongodb.url) as blocking:
        given: Any = {
            "collection": None,
            "database": collection.database,
            "client": collection.database.client,
            "nothing": None,
            "blocking": blocking["database"]["jobs"],
        }[wrong]
        if wrong == "collection":
            with pytest.raises(TypeError, match="a callable that returns the collection"):
                MongoMetadataRepository(collection)
            return
        repo = MongoMetadataRepository(lambda: given, "part")
        expected = "block" if wrong == "blocking" else "needs a collection"
        with pytest.raises(RepositoryConfigurationError, match=expected):
            await repo.validate()
        with pytest.raises(RepositoryConfigurationError, match=expected):
            await repo.keys()


@pytest.mark.parametrize("wrong", ["", 5, b"part"])
def test_a_subcollection_without_a_name_is_rejected(wrong: Any) -> None:
    with pytest.raises(TypeError, match="subcollection"):
        MongoMetadataRepository(_nothing, wrong)  # type: ignore[arg-type]
