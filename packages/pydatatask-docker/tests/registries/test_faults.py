"""Behaviour of a repository when the registry refuses, fails or sends invalid responses."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from docker_registry_client_async import DockerRegistryClientAsync

from pydatatask_core.errors import (
    RepositoryConfigurationError,
    StoreConnectionError,
    StoreError,
    StorePermissionError,
    StoreTimeoutError,
)
from pydatatask_docker import DockerRepository

from .fake import Fake, error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TAGS = ("a", "b", "c", "d", "e")


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    async with Fake(TAGS) as fake:
        yield fake


@pytest.fixture
async def repo(fake: Fake) -> AsyncIterator[DockerRepository]:
    async with anonymous(fake) as client:
        yield DockerRepository(lambda: client, fake.domain, "jobs", protocol="http")


def anonymous(fake: Fake, **options: Any) -> DockerRegistryClientAsync:
    nowhere = Path("/nonexistent/config.json")
    return DockerRegistryClientAsync(credentials_store=nowhere, no_proxy=fake.domain, **options)


# -- listing ---------------------------------------------------------------------------------------


async def test_pages_are_requested_from_the_configured_host_and_not_the_one_in_the_link(
    fake: Fake, repo: DockerRepository
) -> None:
    assert await repo.keys() == {*TAGS}
    assert fake.seen == [
        "GET /v2/jobs/tags/list?n=1000",
        "GET /v2/jobs/tags/list?last=b&n=2",
        "GET /v2/jobs/tags/list?last=d&n=2",
    ]


async def test_a_page_that_fails_does_not_end_the_list(fake: Fake, repo: DockerRepository) -> None:
    fake.answers.append(
        lambda request: error(404, "NOT_FOUND") if request.query.get("last") == "d" else None
    )
    with pytest.raises(StoreError, match="NOT_FOUND"):
        await repo.keys()


async def test_pages_that_link_in_a_circle_raise_an_error(
    fake: Fake, repo: DockerRepository
) -> None:
    target = "/v2/jobs/tags/list?last=b"
    link = {"Link": f'<{target}>; rel="next"'}
    fake.answers.append(lambda request: web.json_response({"tags": ["a"]}, headers=link))
    with pytest.raises(StoreError, match="circle"):
        await repo.keys()


async def test_a_registry_that_rejects_the_page_size_is_asked_for_its_default(
    fake: Fake, repo: DockerRepository
) -> None:
    fake.answers.append(
        lambda request: (
            error(400, "PAGINATION_NUMBER_INVALID") if request.query.get("n") == "1000" else None
        )
    )
    assert await repo.keys() == {*TAGS}


@pytest.mark.parametrize(
    "body", ["<html>", "[]", '{"tags": 7}', '{"tags": [7]}', '{"name": "jobs"}'], ids=repr
)
async def test_an_invalid_list_is_not_treated_as_empty(
    fake: Fake, repo: DockerRepository, body: str
) -> None:
    fake.answers.append(lambda request: web.Response(text=body))
    with pytest.raises(StoreError, match=r"list the jobs.*invalid response"):
        await repo.keys()


async def test_a_response_without_an_end_is_not_read_to_its_end(
    fake: Fake, repo: DockerRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pydatatask_docker.response.MAX_RESPONSE_BYTES", 100_000)
    sent = 0

    class Endless(web.StreamResponse):
        async def prepare(self, request: web.BaseRequest) -> Any:
            nonlocal sent
            await super().prepare(request)
            while True:
                await self.write(b" " * 10_000)
                sent += 10_000

    fake.answers.append(lambda request: Endless())
    with pytest.raises(StoreError, match="more than 100,000 bytes"):
        await repo.keys()
    assert sent >= 100_000


async def test_an_invalid_url_of_the_next_page_raises(fake: Fake, repo: DockerRepository) -> None:
    headers = {"Link": '<http://[>; rel="next"'}
    fake.answers.append(lambda request: web.json_response({"tags": ["a"]}, headers=headers))
    with pytest.raises(StoreError, match="Link header does not contain a valid URL"):
        await repo.keys()


async def test_a_404_from_an_intermediary_does_not_mean_absence(
    fake: Fake, repo: DockerRepository
) -> None:
    fake.answers.append(lambda request: web.Response(status=404, text="nothing here"))
    for attempt in (repo.keys(), repo.contains("a"), repo.is_missing(), repo.delete("a")):
        with pytest.raises(StoreError, match="404"):
            await attempt


# -- looking up ------------------------------------------------------------------------------------


async def test_a_digest_that_the_registry_does_not_send_is_computed(
    fake: Fake, repo: DockerRepository
) -> None:
    assert await repo.digest("a") == f"sha256:{sha256(fake.tags['a']).hexdigest()}"


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (401, "UNAUTHORIZED", StorePermissionError, "does not accept the credentials"),
        (403, "DENIED", StorePermissionError, "do not permit"),
        (429, "TOOMANYREQUESTS", StoreError, "fewer requests"),
        (408, "OTHER", StoreTimeoutError, "HTTP 408"),
        (418, "OTHER", StoreError, "OTHER: on purpose"),
    ],
)
async def test_an_error_response_is_explained(
    fake: Fake, repo: DockerRepository, status: int, code: str, kind: type[Exception], words: str
) -> None:
    fake.answers.append(lambda request: error(status, code))
    with pytest.raises(kind, match=words) as caught:
        await repo.keys()
    assert type(caught.value) is kind
    assert f"{fake.domain}/jobs" in str(caught.value)


async def test_a_temporary_failure_is_retried(fake: Fake, repo: DockerRepository) -> None:
    failures = [error(503, "UNKNOWN"), error(500, "UNKNOWN")]
    fake.answers.append(lambda request: failures.pop() if failures else None)
    assert await repo.contains("a")


async def test_a_permanent_failure_is_reported(fake: Fake, repo: DockerRepository) -> None:
    fake.answers.append(lambda request: error(503, "UNKNOWN"))
    with pytest.raises(StoreError, match="overloaded"):
        await repo.contains("a")
    assert len(fake.seen) == 5


async def test_a_lost_connection_is_reported(fake: Fake, repo: DockerRepository) -> None:
    def cut(request: web.Request) -> None:
        assert request.transport is not None
        request.transport.abort()

    fake.answers.append(cut)
    with pytest.raises(StoreConnectionError, match="look for job 'a'"):
        await repo.contains("a")


async def test_a_registry_that_does_not_respond_in_time_raises_a_timeout(fake: Fake) -> None:
    class Slow(Fake):
        async def _get(self, request: web.Request) -> web.Response:
            await asyncio.Event().wait()
            raise AssertionError

    async with Slow(TAGS) as slow:
        impatient = {"timeout": aiohttp.ClientTimeout(total=0.3)}
        async with anonymous(slow, client_session_kwargs=impatient) as client:
            repo = DockerRepository(lambda: client, slow.domain, "jobs", protocol="http")
            with pytest.raises(StoreTimeoutError, match="in time"):
                await repo.contains("a")


async def test_a_closed_client_raises_a_store_error(fake: Fake) -> None:
    async with anonymous(fake) as client:
        repo = DockerRepository(lambda: client, fake.domain, "jobs", protocol="http")
        await repo.keys()
    with pytest.raises(StoreError, match="closed"):
        await repo.keys()


async def test_validate_reports_missing_permissions_as_a_configuration_error(
    fake: Fake, repo: DockerRepository
) -> None:
    fake.answers.append(lambda request: error(403, "DENIED"))
    with pytest.raises(RepositoryConfigurationError, match=r"do not permit.*DENIED"):
        await repo.validate()


# -- deleting --------------------------------------------------------------------------------------


async def test_a_tag_is_not_moved_if_the_registry_does_not_delete_manifests(
    fake: Fake, repo: DockerRepository
) -> None:
    fake.refuse("DELETE", "/manifests/", 405, "UNSUPPORTED")
    before = dict(fake.tags)
    with pytest.raises(StorePermissionError, match=r"delete job 'a'.*UNSUPPORTED"):
        await repo.delete("a")
    assert fake.tags == before
    assert not [request for request in fake.seen if request.startswith("PUT") and "/a" in request]


async def test_a_tag_is_moved_back_if_the_registry_then_refuses_its_deletion(
    fake: Fake, repo: DockerRepository
) -> None:
    await repo.delete("b")  # now the registry is known to support deletion
    fake.refuse("DELETE", "/manifests/", 405, "UNSUPPORTED")
    before = dict(fake.tags)
    with pytest.raises(StorePermissionError, match="UNSUPPORTED"):
        await repo.delete("a")
    assert fake.tags == before
    assert "PUT /v2/jobs/manifests/a" in fake.seen


async def test_the_error_for_a_tag_that_cannot_be_moved_back_has_its_original_digest(
    fake: Fake, repo: DockerRepository
) -> None:
    await repo.delete("b")
    digest = await repo.digest("a")
    puts: list[str] = []

    def no_second_put(request: web.Request) -> web.Response | None:
        if request.method == "PUT" and request.path.endswith("/a"):
            puts.append(request.path)
            return error(403, "DENIED") if len(puts) > 1 else None
        return None

    fake.answers.append(no_second_put)
    fake.refuse("DELETE", "/manifests/", 405, "UNSUPPORTED")
    with pytest.raises(StoreError, match=rf"instead of {digest}.*DENIED"):
        await repo.delete("a")


async def test_an_image_pushed_during_a_failed_deletion_is_kept(
    fake: Fake, repo: DockerRepository
) -> None:
    await repo.delete("b")

    def pushed(request: web.Request) -> web.Response | None:
        if request.method == "DELETE" and "sha256" in request.path:
            fake.tags["a"] = b'{"schemaVersion": 2, "new": true}'
            return error(405, "UNSUPPORTED")
        return None

    fake.answers.append(pushed)
    with pytest.raises(StorePermissionError):
        await repo.delete("a")
    assert b"new" in fake.tags["a"]


async def test_the_password_is_not_sent_to_another_host_that_takes_an_upload(
    fake: Fake,
) -> None:
    async with Fake() as elsewhere, anonymous(fake) as client:
        await client.add_credentials(endpoint=fake.domain, credentials="c2VjcmV0")
        fake.answers.append(
            lambda request: (
                web.Response(
                    status=202,
                    headers={"Location": f"http://{elsewhere.domain}/v2/x/blobs/uploads/one"},
                )
                if request.method == "POST"
                else None
            )
        )
        fake.answers.insert(
            0,
            lambda request: (
                None
                if "Authorization" in request.headers
                else fake.challenge('Basic realm="tests"')
            ),
        )
        repo = DockerRepository(lambda: client, fake.domain, "jobs", protocol="http")
        await repo.delete("a")
    assert set(fake.tags) == {*TAGS} - {"a"}
    assert len(elsewhere.seen) == 1
    assert "Authorization" not in elsewhere.headers[0]


@pytest.mark.parametrize("location", ["http://[", "mailto:nobody"])
async def test_an_invalid_upload_location_raises_and_the_tag_is_unchanged(
    fake: Fake, repo: DockerRepository, location: str
) -> None:
    headers = {"Location": location}
    fake.answers.append(
        lambda request: (
            web.Response(status=202, headers=headers) if request.method == "POST" else None
        )
    )
    before = dict(fake.tags)
    with pytest.raises(StoreError, match="delete job 'a'"):
        await repo.delete("a")
    assert fake.tags == before
