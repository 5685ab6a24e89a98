"""Repositories with the same location are recognized, however their URLs are spelled."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.repository.location import is_same_location, shared_entry
from pydatatask_core.session import Session
from pydatatask_s3 import S3BucketRepository, YamlMetadataS3Repository

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def at(endpoint: str, prefix: str = "", suffix: str = "", bucket: str = "jobs") -> Any:
    """Return a repository on a server that is never contacted."""
    client: Any = SimpleNamespace(meta=SimpleNamespace(endpoint_url=endpoint))
    return S3BucketRepository(lambda: client, bucket, prefix, suffix)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://localhost:9000", "http://127.0.0.1:9000/"),
        ("https://S3.example.com", "https://s3.example.com:443"),
        ("http://[::1]:80", "http://localhost"),
    ],
)
def test_equivalent_urls_of_a_server_are_the_same_location(one: str, other: str) -> None:
    assert is_same_location(at(one, "a/").location, at(other, "a/").location)


def test_another_bucket_server_prefix_or_suffix_is_another_location() -> None:
    here = at("http://s3.example.com", "a/", ".txt").location
    for other in (
        at("http://s3.example.org", "a/", ".txt"),
        at("http://s3.example.com:81", "a/", ".txt"),
        at("http://s3.example.com", "b/", ".txt"),
        at("http://s3.example.com", "a/", ".yaml"),
        at("http://s3.example.com", "a/", ".txt", "other"),
    ):
        assert not is_same_location(here, other.location)


def test_repeated_slashes_do_not_change_the_location() -> None:
    one, other = at("http://localhost", "a/b/"), at("http://localhost", "/a//b/")
    assert is_same_location(one.location, other.location)


def test_a_prefix_and_a_longer_one_share_jobs_unless_a_slash_separates_them() -> None:
    runs = at("http://localhost", "run")
    assert shared_entry(runs, at("http://localhost", "run1")) == ("1a", "a")
    assert shared_entry(runs, at("http://localhost", "run/")) is None


def test_the_kind_of_values_does_not_change_the_location() -> None:
    blobs = at("http://localhost", "a/", ".yaml")
    assert is_same_location(
        YamlMetadataS3Repository(blobs._client, "jobs", "a/").location, blobs.location
    )


def test_without_an_open_session_each_repository_has_its_own_location() -> None:
    @Session().resource
    async def client() -> AsyncIterator[Any]:
        yield None

    one, other = (S3BucketRepository(client, "jobs") for _ in range(2))
    assert is_same_location(one.location, one.location)
    assert not is_same_location(one.location, other.location)
