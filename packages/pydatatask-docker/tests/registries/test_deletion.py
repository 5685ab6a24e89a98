"""Deletion of one tag, and of nothing else, with each kind of registry."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pydatatask_core.errors import StorePermissionError

from .clients import Requests, connected, new_name
from .conftest import made
from .images import DOCKER, Images

if TYPE_CHECKING:
    from services.registry import RegistryServer

    from pydatatask_docker import DockerRepository


async def test_deleting_one_of_a_thousand_tags_of_an_image_keeps_the_others(
    repo: DockerRepository, images: Images
) -> None:
    tags = [f"job{number}" for number in range(1000)]
    digest = await asyncio.to_thread(images.push_tags, tags)
    assert len(await repo.keys()) == 1000

    await repo.delete("job500")

    left = await asyncio.to_thread(images.tags)
    assert sorted(left) == sorted({*tags} - {"job500"})
    assert len(left) == 999
    assert await asyncio.to_thread(images.digest, "job500") is None
    assert {await asyncio.to_thread(images.digest, tag) for tag in left[::100]} == {digest}


async def test_a_registry_without_deletion_raises_an_error_and_all_tags_are_unchanged(
    registry_2_keeping: RegistryServer,
) -> None:
    images = Images(registry_2_keeping, new_name())
    digest = await asyncio.to_thread(images.push_tags, ["job", *map(str, range(999))])
    async with connected(registry_2_keeping) as client:
        repo = made(client, images)
        for _ in range(2):
            with pytest.raises(StorePermissionError, match=r"'job'.*deletes neither.*delete\.ena"):
                await repo.delete("job")
        await repo.delete("absent")

        assert len(await repo.keys()) == 1000
        assert await repo.digest("job") == digest
    assert await asyncio.to_thread(images.digest, "job") == digest


async def test_the_only_tag_of_an_image_is_deleted(repo: DockerRepository, images: Images) -> None:
    await asyncio.to_thread(images.push, "job")
    await repo.delete("job")
    assert await asyncio.to_thread(images.tags) == []
    assert await repo.keys() == set()
    await repo.delete("job")


async def test_an_index_is_deleted_and_its_members_are_kept(
    repo: DockerRepository, images: Images
) -> None:
    def push() -> str | None:
        images.push("member")
        images.push_index("index", ["member"])
        images.push_index("other", ["member"])
        return images.digest("other")

    digest = await asyncio.to_thread(push)
    await repo.delete("index")
    assert sorted(await asyncio.to_thread(images.tags)) == ["member", "other"]
    assert await asyncio.to_thread(images.digest, "other") == digest


async def test_a_deleted_image_can_be_pushed_again(repo: DockerRepository, images: Images) -> None:
    for _ in range(3):
        digest = await asyncio.to_thread(images.push, "job", "the same", DOCKER)
        assert await repo.digest("job") == digest
        await repo.delete("job")
        assert not await repo.contains("job")


async def test_a_tag_without_a_manifest_can_be_deleted(
    registry_2: RegistryServer,
) -> None:
    """Version 2.8 leaves such a tag after a failure: it is listed but cannot be read."""
    images = Images(registry_2, new_name())

    def push() -> None:
        images.push("job")
        images.push("other", "something else")
        digest = images.digest("job")
        kept = registry_2.data / "docker/registry/v2/repositories" / images.repository
        revision = kept / "_manifests/revisions/sha256" / str(digest).removeprefix("sha256:")
        (revision / "link").unlink()

    await asyncio.to_thread(push)
    async with connected(registry_2) as client:
        repo = made(client, images)
        assert await repo.keys() == {"job", "other"}
        await repo.delete("job")
        assert await repo.keys() == {"other"}


async def test_deletion_is_one_request_if_the_registry_deletes_tags(
    registry_3: RegistryServer, requests: Requests
) -> None:
    images = Images(registry_3, new_name())
    await asyncio.to_thread(images.push_tags, ["one", "two"])
    async with connected(registry_3, requests) as client:
        repo = made(client, images)
        await repo.delete("one")
        before = len(requests.sent)
        await repo.delete("two")
        await repo.delete("two")
    assert requests.sent[before:] == [
        f"DELETE /v2/{images.repository}/manifests/two",
        # Now the tag is absent, or the registry has looked for a manifest of that name.
        f"DELETE /v2/{images.repository}/manifests/two",
        f"GET /v2/{images.repository}/manifests/two",
    ]
