"""Counts of the requests to the server."""

from __future__ import annotations

from typing import Any

import pytest

from pydatatask_core.errors import MalformedValueError, UnsupportedValueError
from pydatatask_core.pipeline import Pipeline
from pydatatask_core.repository import InProcessMetadataRepository
from pydatatask_core.task import InProcessSyncTask
from pydatatask_s3 import S3BucketRepository, YamlMetadataS3Repository

from .clients import Requests, connected
from .listing import crowded_server

KEYS = 100_000


async def test_a_hundred_thousand_keys_are_listed_in_a_hundred_requests() -> None:
    keys = [f"jobs/job{number}.txt" for number in range(KEYS)]
    async with crowded_server(keys) as server, connected(server) as client:
        sent = Requests(client).sent
        repo = S3BucketRepository(lambda: client, "crowded", "jobs/", ".txt")
        found = await repo.keys()
    assert len(found) == KEYS
    assert sent == ["ListObjectsV2"] * 100


@pytest.mark.parametrize("jobs", [2, 40])
async def test_an_idle_round_lists_each_repository_once(
    client: Any, bucket: str, jobs: int
) -> None:
    texts = S3BucketRepository(lambda: client, bucket, "texts/", ".txt")
    counts = YamlMetadataS3Repository(lambda: client, bucket, "counts/")
    done = YamlMetadataS3Repository(lambda: client, bucket, "done/")

    @InProcessSyncTask("count", done)
    async def count(job: str, texts: Any, counts: Any) -> None:
        async with await texts.open(job) as text:
            await counts.dump(job, {"words": len((await text.read()).split())})

    count.link("texts", texts, is_input=True)
    count.link("counts", counts, is_output=True)
    for number in range(jobs):
        async with await texts.open(f"job{number}", "w") as stream:
            await stream.write("some words")

    async with Pipeline([count]) as pipeline:
        await pipeline.run()
        assert await counts.info_all() == {f"job{n}": {"words": 2} for n in range(jobs)}
        sent = Requests(client).sent
        await pipeline.update()
        assert set(sent) == {"ListObjectsV2"}
        assert len(sent) <= 3


async def test_folders_of_other_repositories_are_skipped_without_a_log_message(
    client: Any, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    repo = S3BucketRepository(lambda: client, bucket, "jobs/")
    for key in ("jobs/one", "jobs/other/", "jobs/other/two", "jobs/other/deeper/three", "jobs/"):
        await client.put_object(Bucket=bucket, Key=key, Body=b"")
    assert await repo.keys() == {"one"}
    assert [job async for job in repo] == ["one"]
    assert caplog.records == []


async def test_an_object_larger_than_max_bytes_is_neither_read_nor_written(
    client: Any, bucket: str
) -> None:
    repo = YamlMetadataS3Repository(lambda: client, bucket, "values/", max_bytes=20)
    await client.put_object(Bucket=bucket, Key="values/good.yaml", Body=b"a: 12345678901234567")
    await client.put_object(Bucket=bucket, Key="values/large.yaml", Body=b"a: 1\n" * 1000)
    assert await repo.info("good") == {"a": 12345678901234567}
    for asking in (repo.info("large"), repo.info_all(), repo.info_many(["good", "large"])):
        with pytest.raises(MalformedValueError, match=r"large.*more bytes than max_bytes=20"):
            await asking
    with pytest.raises(UnsupportedValueError, match="takes 22 bytes, more than max_bytes=20"):
        await repo.dump("good", {"a": 123456789012345678})
    with pytest.raises(TypeError, match="max_bytes"):
        YamlMetadataS3Repository(lambda: client, bucket, "values/", max_bytes=None)  # type: ignore[arg-type]


async def test_a_duplicate_key_in_an_object_is_reported_with_its_line(
    client: Any, bucket: str
) -> None:
    repo = YamlMetadataS3Repository(lambda: client, bucket, "values/")
    await client.put_object(Bucket=bucket, Key="values/a.yaml", Body=b"a: 1\nb: 2\na: 3")
    with pytest.raises(MalformedValueError, match=r"/values/a.yaml, line 3, .* 'a' occurs twice"):
        await repo.info("a")


async def test_outputs_written_without_the_repository_are_found_by_listings(
    client: Any, bucket: str
) -> None:
    out = S3BucketRepository(lambda: client, bucket, "out/")

    @InProcessSyncTask("write", InProcessMetadataRepository(), concurrency=40)
    async def write(job: str) -> None:
        if job != "job7":
            await client.put_object(Bucket=bucket, Key=f"out/{job}", Body=b"data")

    jobs = InProcessMetadataRepository({f"job{number}": 1 for number in range(40)})
    write.link("jobs", jobs, is_input=True)
    write.link("out", out, is_output=True)
    async with Pipeline([write]) as pipeline:
        sent = Requests(client).sent
        summary = await pipeline.run()
    assert summary.failed == {"write": ["job7"]}
    assert set(sent) == {"PutObject", "ListObjectsV2"}
    assert sent.count("ListObjectsV2") < 20


async def test_outputs_written_through_the_repository_need_no_further_requests(
    client: Any, bucket: str
) -> None:
    out = S3BucketRepository(lambda: client, bucket, "out/")

    @InProcessSyncTask("write", InProcessMetadataRepository())
    async def write(job: str, out: Any) -> None:
        async with await out.open(job, "wb") as stream:
            await stream.write(b"data")

    write.link("jobs", InProcessMetadataRepository({"a": 1, "b": 1}), is_input=True)
    write.link("out", out, is_output=True)
    async with Pipeline([write]) as pipeline:
        sent = Requests(client).sent
        assert (await pipeline.run()).failed == {}
    assert sent == ["PutObject", "PutObject"]
