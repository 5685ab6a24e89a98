"""The way to a registry through the user's client: its session, credentials and proxies.

Of the client library nothing else is used: it takes tokens to be good for ever, reads the first
page of a listing only, and cannot delete a tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docker_registry_client_async import DockerRegistryClientAsync
from yarl import URL

from pydatatask_core.errors import RepositoryConfigurationError

from .answer import Answer, UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .place import Place

__all__ = ["Channel", "usable"]


def usable(given: Any, owner: object) -> DockerRegistryClientAsync:
    """Give a client back, or say why it is none.

    :param given: what the user's callable gave.
    :param owner: which repository it is for.
    :raises RepositoryConfigurationError: if it is no client.
    """
    if not isinstance(given, DockerRegistryClientAsync):
        raise RepositoryConfigurationError(
            f"{owner!r} was given a {type(given).__name__} and needs a DockerRegistryClientAsync"
        )
    return given


class Channel:
    """Exchanges a request for an answer.

    :param client: the user's client.
    :param place: the registry, and the repository there.
    :param protocol: ``http`` or ``https``.
    """

    def __init__(self, client: DockerRegistryClientAsync, place: Place, protocol: str) -> None:
        self.place = place
        self.protocol = protocol
        self._client = client

    @property
    def base(self) -> URL:
        """The address of the repository."""
        return URL(f"{self.protocol}://{self.place.host}/v2/{self.place.path}/")

    async def exchange(
        self,
        method: str,
        url: URL,
        *,
        authorization: str | None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Send a request, wherever it goes, and read the answer to its end.

        :param method: the verb of HTTP.
        :param url: where it goes.
        :param authorization: the header that tells who is asking.
        :param headers: further headers.
        :param body: the body.
        """
        session = await self._client._get_client_session()
        if session.closed:
            raise UnexpectedAnswer("the client was closed, and nobody is asked any more")
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
            return await Answer.read(response)

    async def credentials(self) -> str | None:
        """Give the client's credentials for the registry, as a header has them."""
        for name in self.place.known_as:
            try:
                found: str | None = await self._client._get_credentials(endpoint=name)
            except (AttributeError, LookupError, TypeError, ValueError, OSError) as e:
                raise RepositoryConfigurationError(
                    f"{self._client.credentials_store} does not hold credentials as the client "
                    'reads them, {"auths": {HOST: {"auth": BASE64}}}; helpers are not supported'
                ) from e
            if found:
                return found
        return None

    def given_tokens(self) -> Iterator[tuple[str, str]]:
        """Iterate the tokens that the client has for the registry, after their scopes."""
        for pattern, tokens in self._client.tokens.items():
            if any(pattern.fullmatch(name) for name in self.place.known_as):
                yield from tokens.items()
