"""Constructor arguments of repositories, and the names and credentials used for requests."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver
from docker_registry_client_async import DockerRegistryClientAsync

from pydatatask_core import Session
from pydatatask_core.errors import RepositoryConfigurationError, SessionError
from pydatatask_docker import DockerRepository

from .fake import Fake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


def nobody() -> Any:
    raise AssertionError("the client must not be used")


@pytest.mark.parametrize(
    ("domain", "repository", "problem"),
    [
        ("https://docker.example.com", "a/b", r"\(domain\): .*without scheme"),
        ("docker.example.com/a", "b", r"\(domain\): .*'docker.example.com/a'"),
        ("", "a/b", r"\(domain\)"),
        ("docker.example.com", "a/b:tag", r"\(repository\): .*without tag"),
        ("docker.example.com", "A/b", r"\(repository\): .*in lower case"),
        ("docker.example.com", "/a", r"\(repository\)"),
        ("docker.example.com", "a//b", r"\(repository\)"),
        ("docker.example.com", "../b", r"\(repository\)"),
        ("docker.example.com", "", r"\(repository\)"),
    ],
)
def test_an_invalid_name_is_rejected(domain: str, repository: str, problem: str) -> None:
    with pytest.raises(RepositoryConfigurationError, match=f"^DockerRepository{problem}"):
        DockerRepository(nobody, domain, repository)


def test_credentials_in_a_domain_are_rejected_without_being_shown() -> None:
    with pytest.raises(RepositoryConfigurationError, match="credentials to the client") as caught:
        DockerRepository(nobody, "me:hunter2@docker.example.com", "a/b")
    assert "hunter2" not in str(caught.value)


def test_arguments_of_the_wrong_type_are_rejected() -> None:
    wrong: Any = 7
    with pytest.raises(TypeError, match=r"\(registry\): expected a callable"):
        DockerRepository(wrong, "docker.example.com", "a/b")
    with pytest.raises(TypeError, match=r"\(domain\): expected a str"):
        DockerRepository(nobody, wrong, "a/b")
    with pytest.raises(TypeError, match=r"\(repository\): expected a str"):
        DockerRepository(nobody, "docker.example.com", wrong)
    with pytest.raises(RepositoryConfigurationError, match=r"\(protocol\): expected 'http'"):
        DockerRepository(nobody, "docker.example.com", "a/b", protocol=wrong)


async def test_the_error_names_the_type_of_a_client_that_is_not_valid() -> None:
    repo = DockerRepository(dict, "docker.example.com", "a/b")  # type: ignore[arg-type]
    with pytest.raises(RepositoryConfigurationError, match="got a dict but needs a Docker"):
        await repo.keys()


async def test_the_error_names_the_resource_of_a_session_that_is_not_open() -> None:
    session = Session()

    @session.resource
    async def registry() -> AsyncIterator[DockerRegistryClientAsync]:
        async with DockerRegistryClientAsync() as client:
            yield client

    repo = DockerRepository(registry, "docker.example.com", "a/b")
    with pytest.raises(SessionError, match="registry"):
        _ = repo.registry
    with pytest.raises(SessionError, match="registry"):
        await repo.keys()
    assert repo.identity == "docker:docker.example.com/a/b"


def test_a_repository_is_pickled_and_copied_without_its_connection() -> None:
    repo = DockerRepository(nobody, "docker.example.com:5000", "a/b")
    for other in (pickle.loads(pickle.dumps(repo)), copy.copy(repo)):
        assert other.identity == repo.identity
        assert repr(other) == "DockerRepository(..., 'docker.example.com:5000', 'a/b')"


@pytest.mark.parametrize("name", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_is_the_same_registry_under_all_its_names(name: str) -> None:
    place = DockerRepository(nobody, "docker.io", "library/ubuntu").identity
    assert DockerRepository(nobody, name, "ubuntu").identity == place
    assert DockerRepository(nobody, name, "me/ubuntu").identity != place
    assert DockerRepository(nobody, "example.com", "ubuntu").identity == "docker:example.com/ubuntu"


class Elsewhere(AbstractResolver):
    """A resolver that resolves every host to one port of the local machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.hosts: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
        self.hosts.append(host)
        found = {"hostname": host, "host": "127.0.0.1", "port": self.port}
        return [{**found, "family": 2, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("known_as", ["https://index.docker.io/v1/", "docker.io"])
async def test_docker_hub_is_accessed_at_its_api_host_with_the_stored_password(
    known_as: str, tmp_path: Path
) -> None:
    store = tmp_path / "config.json"
    store.write_text(f'{{"auths": {{"{known_as}": {{"auth": "c2VjcmV0"}}}}}}')
    async with Fake(["a"]) as fake:
        fake.page = 10
        fake.answers.append(
            lambda request: (
                None if "Authorization" in request.headers else fake.challenge('Basic realm="x"')
            )
        )
        resolver = Elsewhere(fake.port)
        connector = aiohttp.TCPConnector(resolver=resolver)
        async with DockerRegistryClientAsync(
            credentials_store=store,
            client_session_kwargs={"connector": connector},
            no_proxy="registry-1.docker.io",
        ) as client:
            repo = DockerRepository(lambda: client, "docker.io", "ubuntu", protocol="http")
            assert await repo.keys() == {"a"}
            assert (await repo.info("a"))["withdomain"] == "docker.io/ubuntu:a"
    assert fake.seen[-1] == "GET /v2/library/ubuntu/tags/list?n=1000"
    assert fake.headers[-1]["Authorization"] == "Basic c2VjcmV0"
    assert set(resolver.hosts) == {"registry-1.docker.io"}


@pytest.mark.parametrize("content", ["{", "[]", '{"auths": {"127.0.0.1": {}}}'], ids=repr)
async def test_the_error_names_a_credentials_store_that_is_not_valid(
    content: str, tmp_path: Path
) -> None:
    store = tmp_path / "config.json"
    store.write_text(content)
    async with Fake(["a"]) as fake:
        fake.answers.append(lambda request: fake.challenge('Basic realm="x"'))
        client = DockerRegistryClientAsync(credentials_store=store, no_proxy=fake.domain)
        async with client:
            repo = DockerRepository(lambda: client, fake.domain, "jobs", protocol="http")
            with pytest.raises(
                RepositoryConfigurationError, match=r"config\.json does not contain"
            ):
                await repo.keys()
