"""Access to the collection of a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.repository.location import canonical_host

from .client import servers_of, takes_all_values, usable

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Collection

__all__ = ["Source"]


class Source:
    """A provider of a repository's collection, with a cache of the facts about it.

    :param give: the user's callable, which returns a collection.
    :param subcollection: the name of a subcollection to use instead of the collection itself.
    """

    def __init__(self, give: Callable[[], Any], subcollection: str | None) -> None:
        self._give = give
        self._subcollection = subcollection
        self._name = f"of {getattr(give, '__qualname__', type(give).__qualname__)}"
        self._given: Any = None
        self._ready: Collection | None = None
        self._client: Any = None
        self._servers = ""
        self._universal: bool | None = None

    @property
    def name(self) -> str:
        """The name of the collection in messages; until it is known, that of the callable."""
        return self._name

    def given(self) -> Collection:
        """Return the collection with the user's options."""
        return self._part(self._give())

    def ready(self, owner: object) -> Collection:
        """Return the collection with the codec options of this package.

        :param owner: the repository.
        :raises RepositoryConfigurationError: if the user's callable does not return a collection.
        """
        given = self._give()
        if self._ready is None or given is not self._given:
            ready = usable(given, owner)
            self._ready, self._given = self._part(ready), given
            self._name = repr(given.full_name)
            client = ready.database.client
            if client is not self._client:
                self._client, self._universal = client, None
                # Read them now: once connected, a client discovers servers beyond the configured.
                self._servers = servers_of(ready)
        return self._ready

    def place(self, owner: object) -> str:
        """Return the servers and the collection as text, without credentials.

        :param owner: the repository.
        """
        return f"mongodb:{self.ready(owner).full_name}@{self._servers}"

    def store(self, owner: object) -> tuple[object, ...]:
        """Return the servers and the collection in canonical form.

        :param owner: the repository.
        """
        name = self.ready(owner).full_name
        servers = (server.rpartition(":") for server in self._servers.split(","))
        return "mongodb", name, frozenset((canonical_host(host), port) for host, _, port in servers)

    async def takes_all_values(self, owner: object) -> bool:
        """Return whether the server stores all BSON values.

        :param owner: the repository.
        """
        collection = self.ready(owner)
        if self._universal is None:
            self._universal = await takes_all_values(collection)
        return self._universal

    def _part(self, collection: Collection) -> Collection:
        return collection if self._subcollection is None else collection[self._subcollection]

    def __reduce__(self) -> tuple[Any, ...]:
        # A connection belongs to one process and one event loop, so the cache is not pickled.
        return Source, (self._give, self._subcollection)
