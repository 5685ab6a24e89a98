"""Where a repository gets its collection from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.repository.location import canonical_host

from .client import servers_of, takes_all_values, usable

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Collection

__all__ = ["Source"]


class Source:
    """Gives the collection of a repository, and knows what does not change while it is the same.

    :param give: the user's callable.
    :param subcollection: the name of the part of what it gives that is meant, if only a part is.
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
        """What messages call the collection: its own name, once it is known."""
        return self._name

    def given(self) -> Collection:
        """Give the collection as the user has made it."""
        return self._part(self._give())

    def ready(self, owner: object) -> Collection:
        """Give the collection with our codec options.

        :param owner: which repository it is for.
        :raises RepositoryConfigurationError: if the user's callable gave something else.
        """
        given = self._give()
        if self._ready is None or given is not self._given:
            ready = usable(given, owner)
            self._ready, self._given = self._part(ready), given
            self._name = repr(given.full_name)
            client = ready.database.client
            if client is not self._client:
                self._client, self._universal = client, None
                # Now, and not later: once connected, a client knows more servers than it was told.
                self._servers = servers_of(ready)
        return self._ready

    def place(self, owner: object) -> str:
        """Name servers and collection, without credentials.

        :param owner: which repository it is for.
        """
        return f"mongodb:{self.ready(owner).full_name}@{self._servers}"

    def store(self, owner: object) -> tuple[object, ...]:
        """Identify servers and collection, the same for common spellings of a server.

        :param owner: the repository that it is for.
        """
        name = self.ready(owner).full_name
        servers = (server.rpartition(":") for server in self._servers.split(","))
        return "mongodb", name, frozenset((canonical_host(host), port) for host, _, port in servers)

    async def takes_all_values(self, owner: object) -> bool:
        """Tell whether the server holds whatever BSON does.

        :param owner: which repository it is for.
        """
        collection = self.ready(owner)
        if self._universal is None:
            self._universal = await takes_all_values(collection)
        return self._universal

    def _part(self, collection: Collection) -> Collection:
        return collection if self._subcollection is None else collection[self._subcollection]

    def __reduce__(self) -> tuple[Any, ...]:
        # A connection belongs to one process and one loop.
        return Source, (self._give, self._subcollection)
