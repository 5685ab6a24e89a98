"""The example with metadata in MongoDB, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from services.mongodb import MongoServer

MAIN = Path(__file__).parents[2] / "examples" / "mongo" / "main.py"


def example(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(MAIN), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.fixture
def database(mongodb: MongoServer) -> Iterator[Any]:
    with pymongo.MongoClient[Any](mongodb.url) as client:
        database = client[f"pydatatask_test_{uuid.uuid4().hex[:12]}"]
        yield database
        client.drop_database(database.name)


@pytest.fixture
def run(
    mongodb: MongoServer, database: Any, tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    server = ("--mongodb", mongodb.url, "--database", database.name)
    return lambda *arguments: example(*arguments, *server, "--output", tmp_path / "out")


def test_documents_are_in_the_database_and_indexes_in_files(
    run: Callable[..., subprocess.CompletedProcess[str]], database: Any, tmp_path: Path
) -> None:
    result = run()

    assert result.returncode == 0, result.stdout + result.stderr
    assert "ran: count 3, index 2\n" in result.stdout
    assert "orchard: 11 words, 11 different\n" in result.stdout
    assert database["texts.counts"].find_one({"_id": "orchard"}) == {
        "_id": "orchard",
        "words": 11,
        "different": 11,
    }
    assert database["texts.indexed"].count_documents({"success": True}) == 2
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {"lighthouse.index", "timetable.index"}
    index = (tmp_path / "out" / "timetable.index").read_text().splitlines()
    assert {"missed 3", "the 7", "train 2"} <= set(index)


def test_a_second_run_computes_only_missing_results(
    run: Callable[..., subprocess.CompletedProcess[str]], database: Any
) -> None:
    run()
    assert "ran: nothing new\n" in run().stdout

    for name in ("texts.counts", "texts.counted"):
        database[name].delete_one({"_id": "orchard"})
    assert "ran: count 1\n" in run().stdout

    assert "ran: index 1\n" in run("--long", "10").stdout


def test_an_unreachable_server_is_reported_in_one_sentence(tmp_path: Path) -> None:
    nowhere = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"
    result = example("--mongodb", nowhere, "--output", tmp_path / "out")

    assert result.returncode == 2
    assert "no server can be reached" in result.stderr
    assert "Traceback" not in result.stderr
