"""Translation of the client library's errors."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import bson.errors
import pymongo
import pymongo.errors
import pytest
from pymongo.errors import OperationFailure, WriteError

from pydatatask_core.errors import (
    MalformedValueError,
    RepositoryConfigurationError,
    RepositoryError,
    StoreConnectionError,
    StoreError,
    StorePermissionError,
    StoreTimeoutError,
    UnsupportedValueError,
)
from pydatatask_mongo import MongoMetadataRepository
from pydatatask_mongo.errors import store_errors, translate_error

REPO = MongoMetadataRepository(lambda: None, "part")  # type: ignore[arg-type,return-value]


def all_kinds() -> list[type[Exception]]:
    return [
        kind
        for module in (pymongo.errors, bson.errors)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, pymongo.errors.PyMongoError | bson.errors.BSONError)
    ]


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "BulkWriteError": ({},),
    "ClientBulkWriteException": ({}, True),
    "EncryptedCollectionError": (ValueError("why"), {}),
    "EncryptionError": (ValueError("why"),),
}


@pytest.mark.parametrize("kind", all_kinds(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_client_library_is_translated(kind: type[Exception]) -> None:
    theirs = kind(*ARGUMENTS.get(kind.__name__, ("why",)))
    with pytest.raises(RepositoryError) as ours, store_errors(REPO, "read", "job"):
        raise theirs
    assert ours.value.__cause__ is theirs
    assert "'job'" in str(ours.value)
    assert repr(REPO) in str(ours.value)
    # The cause need not be picklable, and some libraries make pickle include it.
    ours.value.__cause__ = ours.value.__context__ = None
    assert str(pickle.loads(pickle.dumps(ours.value))) == str(ours.value)


@pytest.mark.parametrize(
    ("theirs", "ours", "words"),
    [
        (pymongo.errors.NotPrimaryError("x"), StoreConnectionError, "not the primary"),
        (OperationFailure("x", 10107), StoreConnectionError, "not the primary"),
        (OperationFailure("x", 11600), StoreConnectionError, "shutting down"),
        (pymongo.errors.AutoReconnect("x"), StoreConnectionError, "x"),
        (pymongo.errors.ServerSelectionTimeoutError("x"), StoreConnectionError, "no server"),
        (pymongo.errors.NetworkTimeout("x"), StoreTimeoutError, "x"),
        (pymongo.errors.WaitQueueTimeoutError("x"), StoreTimeoutError, "x"),
        (pymongo.errors.ExecutionTimeout("x", 50), StoreTimeoutError, "x"),
        (pymongo.errors.WTimeoutError("x", 64), StoreTimeoutError, "confirmed"),
        (OperationFailure("x", 18), StorePermissionError, "x"),
        (OperationFailure("x", 13), StorePermissionError, "x"),
        (pymongo.errors.DuplicateKeyError("x", 11000), StoreError, "unique index"),
        (pymongo.errors.DocumentTooLarge("x"), UnsupportedValueError, "too large"),
        (WriteError("x", 10334), UnsupportedValueError, "too large"),
        (OperationFailure("x", 1), StoreError, "x"),
    ],
    ids=repr,
)
def test_each_kind_of_error_has_its_class(theirs: Any, ours: type[Exception], words: str) -> None:
    error = translate_error(theirs, REPO, "write", "job")
    assert type(error) is ours
    assert words in str(error)


def test_a_message_does_not_contain_debugging_details() -> None:
    error = translate_error(OperationFailure("bad\n value", 2, {"ok": 0.0}), REPO, "list the jobs")
    assert str(error) == f"could not list the jobs in {REPO!r}: bad value"


async def test_an_unreachable_server_raises_a_connection_error(unreachable: Any) -> None:
    repo = MongoMetadataRepository(lambda: unreachable["database"]["jobs"])
    with pytest.raises(StoreConnectionError, match=r"look for job 'job' in .*no server can be"):
        await repo.contains("job")
    with pytest.raises(StoreConnectionError, match="no server can be reached"):
        await repo.validate()


async def test_validate_reports_wrong_credentials(
    refused: Any,
) -> None:
    repo = MongoMetadataRepository(lambda: refused["database"]["jobs"])
    with pytest.raises(StorePermissionError, match=r"write job 'job' in .*database\.jobs"):
        await repo.dump("job", 1)
    with pytest.raises(RepositoryConfigurationError, match=r"database\.jobs"):
        await repo.validate()


async def test_a_closed_client_raises_a_store_error(client: Any, database_name: str) -> None:
    repo = MongoMetadataRepository(lambda: client[database_name]["jobs"])
    await repo.keys()
    if inspect.isawaitable(closing := client.close()):
        await closing
    with pytest.raises(StoreError):
        await repo.keys()


async def test_the_error_names_a_malformed_value(repo: Any) -> None:
    await repo.dump("good", 1)
    await repo.collection.insert_one({"_id": "bad", "_pydatatask": "x"})
    with pytest.raises(MalformedValueError, match=r"job 'bad' in .*'x', which this version"):
        await repo.info("bad")
    with pytest.raises(MalformedValueError, match="'bad'"):
        await repo.info_many(["good", "bad"])
