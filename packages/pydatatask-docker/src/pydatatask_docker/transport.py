"""Transport of requests with the user's client: its session, credentials and proxies.

The other functions of the client library are not used, because it never renews tokens, reads only
the first page of a listing, and cannot delete a tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docker_registry_client_async import DockerRegistryClientAsync
from yarl import URL

from pydatatask_core.errors import RepositoryConfigurationError

from .response import RegistryResponse, UnexpectedResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .repository_ref import RepositoryRef

__all__ = ["Transport", "check_client"]


def check_client(client: Any, owner: object) -> DockerRegistryClientAsync:
    """Return ``given`` if it is a client.

    :param client: the result of the user's callable.
    :param owner: the repository.
    :raises RepositoryConfigurationError: if it is not a client.
    """
    if not isinstance(client, DockerRegistryClientAsync):
        raise RepositoryConfigurationError(
            f"{owner!r} got a {type(client).__name__} but needs a DockerRegistryClientAsync"
        )
    return client


class Transport:
    """The transport of requests for one repository.

    :param client: the user's client.
    :param ref: the registry and the repository.
    :param protocol: ``http`` or ``https``.
    """

    def __init__(
        self, client: DockerRegistryClientAsync, ref: RepositoryRef, protocol: str
    ) -> None:
        self.ref = ref
        self.protocol = protocol
        self._client = client

    @property
    def base(self) -> URL:
        """The URL of the repository."""
        return URL(f"{self.protocol}://{self.ref.host}/v2/{self.ref.path}/")

    async def send(
        self,
        method: str,
        url: URL,
        *,
        authorization: str | None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> RegistryResponse:
        """Send a request and read the complete response.

        :param method: the HTTP method.
        :param url: the URL, which may be on another host.
        :param authorization: the Authorization header.
        :param headers: further headers.
        :param body: the body.
        :raises UnexpectedAnswer: if the client is closed, or the response is not valid.
        """
        session = await self._client._get_client_session()
        if session.closed:
            raise UnexpectedResponse("the client is closed, and no request was sent")
        options: dict[str, Any] = {} if self._client.ssl is None else {"ssl": self._client.ssl}
        if authorization is not None:
            headers = {**(headers or {}), "Authorization": authorization}
        async with session.request(
            method,
            url,
            headers=headers,
            data=body,
            proxy=await self._client._get_proxy(endpoint=url.authority, protocol=url.scheme),
            proxy_auth=self._client.proxy_auth,
            raise_for_status=False,
            **options,
        ) as response:
            return await RegistryResponse.read(response)

    async def credentials(self) -> str | None:
        """Return the client's credentials for the registry, encoded for a header, or None.

        :raises RepositoryConfigurationError: if the client cannot read its credentials store.
        """
        for name in self.ref.credential_hosts:
            try:
                credentials: str | None = await self._client._get_credentials(endpoint=name)
            except (AttributeError, LookupError, TypeError, ValueError, OSError) as e:
                raise RepositoryConfigurationError(
                    f"{self._client.credentials_store} does not contain credentials in the format "
                    '{"auths": {HOST: {"auth": BASE64}}}; credential helpers are not supported'
                ) from e
            if credentials:
                return credentials
        return None

    def user_tokens(self) -> Iterator[tuple[str, str]]:
        """Yield the scope and text of each token that the client has for the registry."""
        for pattern, tokens in self._client.tokens.items():
            if any(pattern.fullmatch(name) for name in self.ref.credential_hosts):
                yield from tokens.items()
