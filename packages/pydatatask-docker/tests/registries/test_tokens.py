"""Registries that want tokens, which expire."""

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
    """Give the server of tokens, whose tokens are good for long again afterwards."""
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
    """Wait until the registry does not take a token any more."""
    deadline = time.monotonic() + 30
    while True:
        header = {"Authorization": f"Bearer {token}"}
        status, _, _ = await asyncio.to_thread(images.request, "GET", "tags/list", None, header)
        if status == 401:
            return
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_one_token_serves_for_many_requests(
    client: Any, images: Images, tokens: TokenServer
) -> None:
    repo = made(client, images)
    for _ in range(3):
        assert await repo.keys() == {"job1", "job2"}
        assert await repo.contains("job1")
    assert tokens.scopes == [f"repository:{images.repository}:pull"]


async def test_many_requests_at_once_wait_for_one_token(
    client: Any, images: Images, tokens: TokenServer
) -> None:
    repo = made(client, images)
    assert all(await asyncio.gather(*(repo.contains("job1") for _ in range(20))))
    assert len(tokens.scopes) == 1


async def test_a_token_that_the_registry_takes_no_more_is_replaced(
    client: Any, images: Images, tokens: TokenServer
) -> None:
    """Whatever was said about how long it is good for."""
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


async def test_a_token_that_is_said_to_expire_is_replaced_before_it_is_refused(
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
    # The token, and the question; no question that was refused before.
    assert [sent.split("?")[0].split(" ")[0] for sent in requests.sent[before:]] == ["GET", "HEAD"]


async def test_a_token_that_the_user_gave_is_used(
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
async def test_a_password_that_is_not_accepted_is_told_without_it(
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
async def test_so_it_is_without_tokens(registry_2: RegistryServer, password: str) -> None:
    async with connected(registry_2, password=password) as client:
        repo = made(client, Images(registry_2, new_name()))
        with pytest.raises(StorePermissionError, match="does not accept") as caught:
            await repo.keys()
    assert "hunter2" not in str(caught.value)


# -- what no registry of ours does -----------------------------------------------------------------


def asking_for(fake: Fake, challenge: str) -> None:
    """Let a registry want a token."""
    fake.answers.append(
        lambda request: (
            None
            if request.path == "/token" or request.headers.get("Authorization") == "Bearer good"
            else fake.challenge(challenge)
        )
    )


def giving(fake: Fake, **answer: Any) -> None:
    """Let a server give a token."""
    fake.answers.append(
        lambda request: web.json_response(answer) if request.path == "/token" else None
    )


async def listed(fake: Fake, repository: str = "jobs") -> Any:
    async with connected(plain(fake), password="") as client:
        return await DockerRepository(
            lambda: client, fake.domain, repository, protocol="http"
        ).keys()


def plain(fake: Fake) -> Any:
    """Give what makes a client for it."""
    return SimpleNamespace(domain=fake.domain, certificate=None)


async def test_who_needs_no_password_gets_a_token_as_well() -> None:
    async with Fake(["a"]) as fake:
        asking_for(
            fake, f'Bearer realm="http://{fake.domain}/token",service="a b",scope="x:y:pull"'
        )
        giving(fake, access_token="good")
        assert await listed(fake) == {"a"}
        assert "GET /token?scope=x:y:pull&service=a+b" in fake.seen


async def test_of_several_challenges_the_token_is_taken() -> None:
    async with Fake(["a"]) as fake:
        challenge = f'Negotiate, Basic realm="x", Bearer realm=http://{fake.domain}/token'
        asking_for(fake, challenge)
        giving(fake, token="good", expires_in="soon")
        assert await listed(fake, "library/jobs") == {"a"}
        assert "GET /token?scope=repository:library/jobs:pull" in fake.seen


@pytest.mark.parametrize(
    ("challenge", "words"),
    [
        ("Bearer", "where to get a token"),
        ('Bearer realm="file:///etc/passwd"', "where to get a token"),
        ('Bearer realm="http://["', "is no address"),
        ('Bearer realm="http://{}/token"', "gives no token"),
        ("Negotiate", "does not accept the credentials"),
        ("", "does not accept the credentials"),
    ],
)
async def test_a_challenge_that_cannot_be_met_is_told(challenge: str, words: str) -> None:
    async with Fake(["a"]) as fake:
        asking_for(fake, challenge.format(fake.domain))
        giving(fake, tokens=[])
        with pytest.raises(StoreError, match=words):
            await listed(fake)


async def test_a_token_that_is_not_enough_is_a_matter_of_permission() -> None:
    async with Fake(["a"]) as fake:
        realm = f'Bearer realm="http://{fake.domain}/token",error="insufficient_scope"'
        asking_for(fake, realm)
        giving(fake, token="bad")
        with pytest.raises(StorePermissionError, match="do not permit"):
            await listed(fake)
        assert len([request for request in fake.seen if "/token" in request]) == 1


async def test_a_password_is_not_told_to_who_would_send_it_around_in_clear(
    registry_2_tls: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pydatatask_docker.answer import Answer, Challenge

    async with Fake() as fake, connected(registry_2_tls) as client:
        realm = {"realm": f"http://{fake.domain}/token"}
        monkeypatch.setattr(Answer, "challenges", [Challenge("bearer", realm)])
        repo = made(client, Images(registry_2_tls, new_name()))
        with pytest.raises(StoreError, match=r"without encryption"):
            await repo.keys()
        assert fake.seen == []
