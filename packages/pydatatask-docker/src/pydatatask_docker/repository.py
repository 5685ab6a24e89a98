"""The repository whose keys are the tags of an image."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydatatask_core.errors import (
    JobNotFoundError,
    RepositoryConfigurationError,
    StorePermissionError,
)
from pydatatask_core.repository import Repository
from pydatatask_core.utils import run_to_completion

from .deletion import Deleter, digest_from
from .errors import store_errors
from .registry import Registry
from .repository_ref import RepositoryRef
from .transport import Transport, check_client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from contextlib import AbstractContextManager

    from docker_registry_client_async import DockerRegistryClientAsync

__all__ = ["DockerRepository"]


class _Connection(NamedTuple):
    """The cached objects for one client."""

    client: DockerRegistryClientAsync
    registry: Registry
    deleter: Deleter


class DockerRepository(Repository):
    """A repository whose keys are the tags of a repository in a container registry.

    A job is present if its image exists: when a program pushes an image with the job's name as its
    tag, the tasks that require it start. This class neither pushes nor pulls images.

    Credentials, certificates, proxies and timeouts are configured in the client. Tokens are renewed
    before they expire.

    :param registry: a callable returning a ``docker_registry_client_async`` client object with
        appropriate authentication information, such as a resource of a session.
    :param domain: the registry domain to connect to, with a port if need be, e.g.
        ``index.docker.io``.
    :param repository: the repository to store images in within the domain, e.g. ``myname/myrepo``.
    :param protocol: ``http`` or ``https``; by default the client's ``DEFAULT_PROTOCOL``, which is
        ``https`` unless the environment variable ``DRCA_DEFAULT_PROTOCOL`` is set.
    :raises TypeError: if an argument has the wrong type.
    :raises RepositoryConfigurationError: if an argument has an invalid value.
    """

    def __init__(
        self,
        registry: Callable[[], DockerRegistryClientAsync],
        domain: str,
        repository: str,
        *,
        protocol: Literal["http", "https"] | None = None,
    ) -> None:
        owner = type(self).__name__
        if not callable(registry):
            raise TypeError(
                f"{owner}(registry): expected a callable that returns the client, such as a "
                f"session resource, not {type(registry).__name__}"
            )
        if protocol not in ("http", "https", None):
            raise RepositoryConfigurationError(
                f"{owner}(protocol): expected 'http' or 'https', not {protocol!r}"
            )
        self._ref = RepositoryRef.create(owner, domain, repository)
        self._registry = registry
        self._protocol = protocol
        self._connection: _Connection | None = None

    @property
    def registry(self) -> DockerRegistryClientAsync:
        """The ``docker_registry_client_async`` client object.

        :raises SessionError: if it is provided by a session that is not open.
        """
        return self._registry()

    @property
    def domain(self) -> str:
        """The registry's domain, as passed to the constructor."""
        return self._ref.domain

    @property
    def repository(self) -> str:
        """The repository's name within the domain, as passed to the constructor."""
        return self._ref.repository

    async def contains(self, item: str) -> bool:
        if not self.is_valid_job_id(item):
            return False
        with self._errors("look for", item):
            return await self._ready().registry.manifest("HEAD", item) is not None

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        async with aclosing(self._pages()) as pages:
            async for tags in pages:
                for tag in tags:
                    yield tag

    async def keys(self) -> frozenset[str]:
        valid_tags: list[str] = []
        async with aclosing(self._pages()) as pages:
            async for tags in pages:
                valid_tags += tags
        return frozenset(self.valid_names(valid_tags))

    async def info(self, job: str) -> dict[str, str]:
        """Return the names of the job's image, without a request; the image need not exist.

        The info provided by a docker repository is a dict with two keys, "withdomain" and
        "withoutdomain", e.g.::

            {
                "withdomain": "docker.example.com/myname/myrepo:job",
                "withoutdomain": "myname/myrepo:job",
            }
        """
        self.check_job_id(job)
        return {
            "withdomain": f"{self.domain}/{self.repository}:{job}",
            "withoutdomain": f"{self.repository}:{job}",
        }

    async def digest(self, job: str) -> str:
        """Return the digest of the job's image, such as ``sha256:0123...``.

        A tag may be moved; ``NAME@DIGEST`` always refers to the same image.

        :param job: the job.
        :raises JobNotFoundError: if its image does not exist.
        """
        self.check_job_id(job)
        with self._errors("look for", job):
            registry = self._ready().registry
            digest = await registry.manifest("HEAD", job)
            if digest is not None and "Docker-Content-Digest" not in digest.headers:
                digest = await registry.manifest("GET", job)
        if digest is None:
            raise JobNotFoundError(job, self)
        return digest_from(digest)

    async def delete(self, job: str) -> None:
        """Delete the job's tag if it exists, and no other tag of the same image.

        If the registry deletes only whole manifests, the tag is first moved to an empty image,
        which other clients may see for a moment. If the registry then refuses to delete the empty
        image, the tag is moved back.

        :raises StorePermissionError: if the registry does not support deletion; the tag is
            unchanged.
        """
        self.check_job_id(job)
        await run_to_completion(self._delete(job))

    async def validate(self) -> None:
        """Check that the registry is reachable and permits listing; the repository need not exist.

        :raises RepositoryConfigurationError: if the registry denies permission.
        """
        try:
            with self._errors("use the registry"):
                await self._ready().registry.exists()
        except StorePermissionError as e:
            raise RepositoryConfigurationError(str(e)) from e.__cause__

    async def is_missing(self) -> bool:
        with self._errors("use the registry"):
            return not await self._ready().registry.exists()

    @property
    def identity(self) -> str:
        """The registry and the repository, the same for equivalent names of them."""
        return f"docker:{self._ref.canonical}"

    async def _delete(self, job: str) -> None:
        with self._errors("delete", job):
            await self._ready().deleter.delete(job)

    async def _pages(self) -> AsyncGenerator[list[str], None]:
        with self._errors("list the jobs"):
            async with aclosing(self._ready().registry.pages()) as pages:
                async for page in pages:
                    yield page

    def _errors(self, action: str, job: str | None = None) -> AbstractContextManager[None]:
        return store_errors(self, self._ref, action, job)

    def _ready(self) -> _Connection:
        client = check_client(self.registry, self)
        if self._connection is None or self._connection.client is not client:
            protocol = self._protocol or client.DEFAULT_PROTOCOL
            registry = Registry(Transport(client, self._ref, protocol))
            self._connection = _Connection(client, registry, Deleter(registry))
        return self._connection

    def __getstate__(self) -> dict[str, Any]:
        # A connection belongs to one process and one event loop.
        return {**self.__dict__, "_connection": None}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(..., {self.domain!r}, {self.repository!r})"
