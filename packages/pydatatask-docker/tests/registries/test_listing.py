"""Snapshot of tags over any number of pages, and lookups of images."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pydatatask_core.errors import JobNotFoundError

from .clients import connected, new_name
from .conftest import made
from .images import DOCKER, DOCKER_LIST, OCI, OCI_INDEX, Images

if TYPE_CHECKING:
    from services.registry import RegistryServer

    from pydatatask_docker import DockerRepository

    from .clients import Requests


async def test_five_thousand_tags_are_listed_with_one_request_per_page(
    registry_3: RegistryServer, requests: Requests
) -> None:
    images = Images(registry_3, new_name())
    tags = [f"job{number:05}" for number in range(5000)]
    await asyncio.to_thread(images.push_tags, tags)
    async with connected(registry_3, requests) as client:
        repo = made(client, images)
        assert await repo.contains(tags[0])
        before = len(requests.sent)
        assert await repo.keys() == {*tags}
        assert len(requests.sent) - before in (5, 6)
        assert [job async for job in repo] == tags
        assert len(await repo.info_all()) == 5000


@pytest.mark.parametrize("kind", [OCI, DOCKER])
async def test_images_of_both_media_types_are_present(
    repo: DockerRepository, images: Images, kind: str
) -> None:
    digest = await asyncio.to_thread(images.push, "job", "an image", kind)
    assert await repo.contains("job")
    assert await repo.digest("job") == digest


@pytest.mark.parametrize(("kind", "of"), [(OCI_INDEX, OCI), (DOCKER_LIST, DOCKER)])
async def test_indexes_of_both_media_types_are_present(
    repo: DockerRepository, images: Images, kind: str, of: str
) -> None:
    await asyncio.to_thread(images.push, "member", "an image", of)
    digest = await asyncio.to_thread(images.push_index, "job", ["member"], kind)
    assert await repo.contains("job")
    assert await repo.digest("job") == digest
    assert await repo.keys() == {"job", "member"}


async def test_the_digest_of_an_absent_image_raises(repo: DockerRepository, images: Images) -> None:
    with pytest.raises(JobNotFoundError, match="'job'"):
        await repo.digest("job")
    await asyncio.to_thread(images.push, "other")
    with pytest.raises(JobNotFoundError, match="'job'"):
        await repo.digest("job")


async def test_info_returns_names_without_a_request(
    repo: DockerRepository, images: Images, requests: Requests
) -> None:
    assert await repo.info("job") == {
        "withdomain": f"{images.server.domain}/{images.repository}:job",
        "withoutdomain": f"{images.repository}:job",
    }
    assert requests.sent == []


async def test_a_repository_is_missing_until_an_image_is_pushed(
    repo: DockerRepository, images: Images
) -> None:
    assert await repo.is_missing()
    await repo.validate()
    assert await repo.keys() == set()
    await asyncio.to_thread(images.push, "job")
    assert not await repo.is_missing()


async def test_an_encrypted_connection_uses_the_certificate_of_the_client(
    registry_2_tls: RegistryServer,
) -> None:
    images = Images(registry_2_tls, new_name())
    await asyncio.to_thread(images.push, "job")
    async with connected(registry_2_tls) as client:
        repo = made(client, images)
        assert await repo.keys() == {"job"}
        await repo.delete("job")
        assert await repo.keys() == set()
