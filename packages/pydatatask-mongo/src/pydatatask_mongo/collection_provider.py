"""Access to the collection of a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.repository.location import canonical_host

from .client import servers_of, supports_all_values, with_codec_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Collection

__all__ = ["CollectionProvider"]


class CollectionProvider:
    """A provider of a repository's collection, with a cache of the facts about it.

    :param factory: the user's callable, which returns a collection.
    :param subcollection: the name of a subcollection to use instead of the collection itself.
    """

    def __init__(self, factory: Callable[[], Any], subcollection: str | None) -> None:
        self._factory = factory
        self._subcollection = subcollection
        self._name = f"of {getattr(factory, '__qualname__', type(factory).__qualname__)}"
        self._raw: Any = None
        self._configured: Collection | None = None
        self._client: Any = None
        self._servers = ""
        self._supports_all_values: bool | None = None

    @property
    def name(self) -> str:
        """The name of the collection in messages; until it is known, that of the callable."""
        return self._name

    def raw(self) -> Collection:
        """Return the collection with the user's options."""
        return self._part(self._factory())

    def collection(self, owner: object) -> Collection:
        """Return the collection with the codec options of this package.

        :param owner: the repository.
        :raises RepositoryConfigurationError: if the user's callable does not return a collection.
        """
        raw = self._factory()
        if self._configured is None or raw is not self._raw:
            configured = with_codec_options(raw, owner)
            self._configured, self._raw = self._part(configured), raw
            self._name = repr(raw.full_name)
            client = configured.database.client
            if client is not self._client:
                self._client, self._supports_all_values = client, None
                # Read them now: once connected, a client discovers servers beyond the configured.
                self._servers = servers_of(configured)
        return self._configured

    def identity(self, owner: object) -> str:
        """Return the servers and the collection as text, without credentials.

        :param owner: the repository.
        """
        return f"mongodb:{self.collection(owner).full_name}@{self._servers}"

    def location_key(self, owner: object) -> tuple[object, ...]:
        """Return the servers and the collection in canonical form.

        :param owner: the repository.
        """
        name = self.collection(owner).full_name
        servers = (server.rpartition(":") for server in self._servers.split(","))
        return "mongodb", name, frozenset((canonical_host(host), port) for host, _, port in servers)

    async def supports_all_values(self, owner: object) -> bool:
        """Return whether the server stores all BSON values.

        :param owner: the repository.
        """
        collection = self.collection(owner)
        if self._supports_all_values is None:
            self._supports_all_values = await supports_all_values(collection)
        return self._supports_all_values

    def _part(self, collection: Collection) -> Collection:
        return collection if self._subcollection is None else collection[self._subcollection]

    def __reduce__(self) -> tuple[Any, ...]:
        # A connection belongs to one process and one event loop, so the cache is not pickled.
        return CollectionProvider, (self._factory, self._subcollection)
