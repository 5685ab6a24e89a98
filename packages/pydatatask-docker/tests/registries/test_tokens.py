"""Registries that require tokens, which expire."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from pydatatask_core.errors import StoreError, StorePermissionError
from pydatatask_docker import DockerRepository

from .clients import Requests, connected, new_name
from .conftest import made
from .fake import Fake
from .images import Images

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from docker_registry_client_async import DockerRegistryClientAsync
    from services.registry import RegistryServer
    from services.tokens import TokenServer


@pytest.fixture
def images(registry_3: RegistryServer) -> Images:
    images = Images(registry_3, new_name())
    images.push("job1")
    images.push("job2")
    return images


@pytest.fixture
def tokens(registry_3: RegistryServer) -> Iterator[TokenServer]:
    """Yield the token server, and restore the lifetime of its tokens afterwards."""
    tokens = registry_3.tokens
    assert tokens is not None
    life, said = tokens.life, tokens.said
    tokens.scopes.clear()
    yield tokens
    tokens.life, tokens.said = life, said


@pytest.fixture
async def client(registry_3: RegistryServer) -> AsyncIterator[DockerRegistryClientAsync]:
    async with connected(registry_3) as client:
        yield client


async def refused(images: Images, token: str) -> None:
    """Wait until the registry no longer accepts a token."""
    deadline = time.monotonic() + 30
    while True:
        header = {"Authorization": f"Bearer {token}"}
        status, _, _ = await asyncio.to_thread(images.request, "GET", "tags/list", None, header)
        if status == 401:
            return
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_one_token_is_used_for_several_requests(
    client: Any, images: Images, tokens: TokenServer
) -> None:
    repo = made(client, images)
    for _ in range(3):
        assert await repo.keys() == {"job1", "job2"}
        assert await repo.contains("job1")
    assert tokens.scopes == [f"repository:{images.repository}:pull"]


async def test_concurrent_requests_wait_for_one_token(
    client: Any, images: Images, tokens: TokenServer
) -> None:
    repo = made(client, images)
    assert all(await asyncio.gather(*(repo.contains("job1") for _ in range(20))))
    assert len(tokens.scopes) == 1


async def test_a_token_that_the_registry_no_longer_accepts_is_replaced(
    client: Any, images: Images, tokens: TokenServer
) -> None:
    """The token server announces a longer lifetime than its tokens have."""
    tokens.life, tokens.said = 1, 300
    repo = made(client, images)
    assert await repo.contains("job1")
    await refused(images, tokens.token(f"repository:{images.repository}:pull"))

    tokens.life = 300
    assert await repo.contains("job1")
    await repo.delete("job1")
    assert await repo.keys() == {"job2"}
    assert [scope.rpartition(":")[2] for scope in tokens.scopes] == [
        "pull",
        "pull",
        "pull,push,delete",
    ]


async def test_a_token_is_replaced_before_its_announced_expiry(
    registry_3: RegistryServer, images: Images, tokens: TokenServer
) -> None:
    tokens.said = 1
    requests = Requests()
    async with connected(registry_3, requests) as client:
        repo = made(client, images)
        assert await repo.contains("job1")
        began = time.monotonic()
        while len(tokens.scopes) == 1:
            assert time.monotonic() < began + 30
            before = len(requests.sent)
            assert await repo.contains("job1")
            await asyncio.sleep(0.05)
    # The requests for a token and for the manifest, and none that was rejected before.
    assert [sent.split("?")[0].split(" ")[0] for sent in requests.sent[before:]] == ["GET", "HEAD"]


async def test_a_token_in_the_users_client_is_used(
    registry_3: RegistryServer, images: Images, tokens: TokenServer
) -> None:
    async with connected(registry_3, password="") as client:
        scope = f"repository:{images.repository}:pull,push"
        token = tokens.token(scope)
        await client.add_token(endpoint=registry_3.domain, scope=scope, token=token)
        repo = made(client, images)
        assert await repo.keys() == {"job1", "job2"}
        assert tokens.scopes == []
        with pytest.raises(StorePermissionError):
            await repo.delete("job1")


@pytest.mark.parametrize("password", ["hunter2", ""], ids=["wrong", "none"])
async def test_the_error_for_a_rejected_password_does_not_contain_it(
    registry_3: RegistryServer, images: Images, password: str
) -> None:
    async with connected(registry_3, password=password) as client:
        repo = made(client, images)
        for attempt in (repo.keys(), repo.contains("job1"), repo.delete("job1")):
            with pytest.raises(StorePermissionError, match="does not accept") as caught:
                await attempt
            assert "hunter2" not in str(caught.value)
            assert "Basic" not in str(caught.value)


@pytest.mark.parametrize("password", ["hunter2", ""], ids=["wrong", "none"])
async def test_the_error_for_a_rejected_password_does_not_contain_it_without_tokens(
    registry_2: RegistryServer, password: str
) -> None:
    async with connected(registry_2, password=password) as client:
        repo = made(client, Images(registry_2, new_name()))
        with pytest.raises(StorePermissionError, match="does not accept") as caught:
            await repo.keys()
    assert "hunter2" not in str(caught.value)


# -- fake registries -------------------------------------------------------------------------------


def asking_for(fake: Fake, challenge: str) -> None:
    """Make a registry require a token."""
    fake.answers.append(
        lambda request: (
            None
            if request.path == "/token" or request.headers.get("Authorization") == "Bearer good"
            else fake.challenge(challenge)
        )
    )


def giving(fake: Fake, **answer: Any) -> None:
    """Make a token server send a token."""
    fake.answers.append(
        lambda request: web.json_response(answer) if request.path == "/token" else None
    )


async def listed(fake: Fake, repository: str = "jobs") -> Any:
    async with connected(plain(fake), password="") as client:
        return await DockerRepository(
            lambda: client, fake.domain, repository, protocol="http"
        ).keys()


def plain(fake: Fake) -> Any:
    """Return the description of a fake registry for :func:`connected`."""
    return SimpleNamespace(domain=fake.domain, certificate=None)


async def test_a_client_without_a_password_gets_a_token() -> None:
    async with Fake(["a"]) as fake:
        asking_for(
            fake, f'Bearer realm="http://{fake.domain}/token",service="a b",scope="x:y:pull"'
        )
        giving(fake, access_token="good")
        assert await listed(fake) == {"a"}
        assert "GET /token?scope=x:y:pull&service=a+b" in fake.seen


async def test_a_token_is_preferred_if_there_are_several_challenges() -> None:
    async with Fake(["a"]) as fake:
        challenge = f'Negotiate, Basic realm="x", Bearer realm=http://{fake.domain}/token'
        asking_for(fake, challenge)
        giving(fake, token="good", expires_in="soon")
        assert await listed(fake, "library/jobs") == {"a"}
        assert "GET /token?scope=repository:library/jobs:pull" in fake.seen


@pytest.mark.parametrize(
    ("challenge", "words"),
    [
        ("Bearer", "URL of a token server"),
        ('Bearer realm="file:///etc/passwd"', "URL of a token server"),
        ('Bearer realm="http://["', "not a valid URL"),
        ('Bearer realm="http://{}/token"', "did not send a token"),
        ("Negotiate", "does not accept the credentials"),
        ("", "does not accept the credentials"),
    ],
)
async def test_an_unsupported_challenge_is_reported(challenge: str, words: str) -> None:
    async with Fake(["a"]) as fake:
        asking_for(fake, challenge.format(fake.domain))
        giving(fake, tokens=[])
        with pytest.raises(StoreError, match=words):
            await listed(fake)


async def test_a_token_with_insufficient_scope_raises_a_permission_error() -> None:
    async with Fake(["a"]) as fake:
        realm = f'Bearer realm="http://{fake.domain}/token",error="insufficient_scope"'
        asking_for(fake, realm)
        giving(fake, token="bad")
        with pytest.raises(StorePermissionError, match="do not permit"):
            await listed(fake)
        assert len([request for request in fake.seen if "/token" in request]) == 1


async def test_a_password_is_not_sent_to_a_token_server_without_encryption(
    registry_2_tls: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pydatatask_docker.response import Challenge, RegistryResponse

    async with Fake() as fake, connected(registry_2_tls) as client:
        realm = {"realm": f"http://{fake.domain}/token"}
        monkeypatch.setattr(RegistryResponse, "challenges", [Challenge("bearer", realm)])
        repo = made(client, Images(registry_2_tls, new_name()))
        with pytest.raises(StoreError, match=r"without encryption"):
            await repo.keys()
        assert fake.seen == []
