"""Metadata repositories whose values are the documents of a collection."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from bson import json_util

from pydatatask_core.errors import (
    MalformedValueError,
    RepositoryConfigurationError,
    SessionError,
    StoreConnectionError,
    StoreError,
    StoreTimeoutError,
)
from pydatatask_core.repository import MetadataRepository
from pydatatask_core.repository.location import Location
from pydatatask_core.utils import run_to_completion

from .collection_provider import CollectionProvider
from .decoder import from_document
from .documents import build_document, check_value, replace, serialize
from .encoder import to_document
from .errors import store_errors

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import Self

    from .client import Collection

__all__ = ["MongoMetadataRepository"]

log = logging.getLogger("pydatatask.repository")

BATCH_DOCUMENTS = 5000
"""The number of documents to decode in one step, which blocks the event loop a few milliseconds."""

PROBE = ".pydatatask-probe"
"""The ``_id`` of the document that tests write access; it is never listed."""


class MongoMetadataRepository(MetadataRepository):
    """A metadata repository using a MongoDB collection as the backing store.

    Each job is a document whose ``_id`` is the job's name. A dict that BSON can store exactly is
    stored with its own keys, so that queries can find it; documents of other programs are read in
    the same way. The package's README describes how other values are stored.

    Write and read concerns, the read preference and timeouts are configured in the collection and
    its client.

    :param collection: a callable returning a collection of motor or of PyMongo's asynchronous
        client, such as a resource of a session.
    :param subcollection: optional: the name of a subcollection within the collection in which to
        store data.
    """

    def __init__(
        self, collection: Callable[[], Collection], subcollection: str | None = None
    ) -> None:
        owner = type(self).__name__
        # Collections of both clients have a __call__ method that only raises.
        if not callable(collection) or isinstance(getattr(collection, "full_name", None), str):
            raise TypeError(
                f"{owner}(collection): expected a callable that returns the collection, such as a "
                f"session resource, not {type(collection).__name__}"
            )
        if subcollection is not None and (not isinstance(subcollection, str) or not subcollection):
            raise TypeError(f"{owner}(subcollection): expected a name, not {subcollection!r}")
        self.subcollection = subcollection
        self._factory = collection  # a pipeline finds the session resources to open in attributes
        self._provider = CollectionProvider(collection, subcollection)
        self._filter: dict[str, Any] = {}

    @property
    def collection(self) -> Collection:
        """The collection in which data is stored, with the options set by the user.

        :raises SessionError: if it is provided by a session that is not open.
        """
        return self._provider.raw()

    def query(self, filter: Mapping[str, Any]) -> Self:
        """Create a view of the jobs whose documents match a filter, which the server applies.

        The view is a repository like this one. It neither reads nor deletes other documents. A
        dumped value is always stored, and appears in the view if it matches.

        :param filter: a filter for ``find()``, in terms of the stored documents.
        """
        if not isinstance(filter, Mapping):
            raise TypeError(f"a filter is a dict such as {{'status': 'done'}}, not {filter!r}")
        view = copy.copy(self)
        view._filter = _combine_filters(self._filter, copy.deepcopy(dict(filter)))
        return view

    async def contains(self, item: str) -> bool:
        if not self.is_valid_job_id(item):
            return False
        with self._errors("look for", item):
            document = await self._ready().find_one(
                _combine_filters({"_id": item}, self._filter), {"_id": 1}
            )
        return document is not None

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        async with aclosing(self._batches("list the jobs", self._filter, {"_id": 1})) as batches:
            async for batch in batches:
                for name in map(_name, batch):
                    if name != PROBE:
                        yield name

    async def keys(self) -> frozenset[str]:
        names: set[str] = set()
        async with aclosing(self._batches("list the jobs", self._filter, {"_id": 1})) as batches:
            async for batch in batches:
                names.update(map(_name, batch))
        names.discard(PROBE)
        return frozenset(self.valid_names(names))

    async def info(self, job: str) -> Any:
        """Return the value of a job, or ``{}`` if the job is absent."""
        self.check_job_id(job)
        with self._errors("read", job):
            document = await self._ready().find_one(_combine_filters({"_id": job}, self._filter))
        return {} if document is None else self._value(job, document)

    async def info_all(self) -> dict[str, Any]:
        documents: dict[str, Any] = {}
        async with aclosing(self._batches("read all jobs", self._filter)) as batches:
            async for batch in batches:
                documents.update(zip(map(_name, batch), batch, strict=True))
        documents.pop(PROBE, None)
        return await self._values(self.valid_names(documents), documents)

    async def info_many(self, jobs: Iterable[str]) -> dict[str, Any]:
        wanted = list(jobs)
        for job in wanted:
            self.check_job_id(job)
        wanted = list(dict.fromkeys(wanted))
        documents: dict[str, Any] = {}
        for batch_jobs in _batches_of(wanted):
            selected = _combine_filters({"_id": {"$in": batch_jobs}}, self._filter)
            async with aclosing(self._batches(f"read {len(batch_jobs)} jobs", selected)) as batches:
                async for batch in batches:
                    documents.update((document["_id"], document) for document in batch)
        return await self._values(wanted, documents)

    async def dump(self, job: str, data: Any) -> None:
        self.check_job_id(job)
        await self._write(job, data)

    async def delete(self, job: str) -> None:
        self.check_job_id(job)
        with self._errors("delete", job):
            await run_to_completion(
                self._ready().delete_one(_combine_filters({"_id": job}, self._filter))
            )

    async def validate(self) -> None:
        """Check that the server is reachable and permits reading and writing.

        :raises RepositoryConfigurationError: if it denies permission or rejects a filter.
        """
        collection = self._ready()
        if not collection.write_concern.acknowledged:
            log.warning("%r: the write concern w=0 means that failed writes go unnoticed", self)
        try:
            with self._errors("use the server"):
                await collection.database.command("ping")
            await self._write(PROBE, {})
            try:
                with self._errors("read"):
                    await collection.find_one(_combine_filters({"_id": PROBE}, self._filter))
            finally:
                with self._errors("delete"):
                    await run_to_completion(collection.delete_one({"_id": PROBE}))
        except (StoreConnectionError, StoreTimeoutError):
            raise
        except StoreError as e:
            raise RepositoryConfigurationError(str(e)) from e.__cause__

    @property
    def location(self) -> Location:
        # Without the filter, because values are stored even if they do not match it.
        try:
            return Location(self._provider.location_key(self))
        except SessionError:
            return super().location

    @property
    def identity(self) -> str | None:
        """The servers, collection and filter; None while the collection's session is not open."""
        try:
            identity = self._provider.identity(self)
        except SessionError:
            return None
        return (
            f"{identity}?{json_util.dumps(self._filter, sort_keys=True)}"
            if self._filter
            else identity
        )

    def _errors(self, action: str, job: str | None = None) -> AbstractContextManager[None]:
        return store_errors(self, action, job)

    def _ready(self) -> Collection:
        return self._provider.collection(self)

    async def _batches(
        self, action: str, selected: dict[str, Any], fields: dict[str, Any] | None = None
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        """Yield batches of documents from one cursor; the event loop can run between batches."""
        with self._errors(action):
            cursor = self._ready().find(selected, fields, batch_size=BATCH_DOCUMENTS)
            try:
                while batch := await cursor.to_list(BATCH_DOCUMENTS):
                    yield batch
            finally:
                await cursor.close()

    async def _values(self, jobs: list[str], documents: dict[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for chunk in _batches_of(jobs):
            for job in chunk:
                values[job] = self._value(job, documents[job]) if job in documents else {}
            await asyncio.sleep(0)
        return values

    def _value(self, job: str, document: dict[str, Any]) -> Any:
        try:
            return from_document(document)
        except ValueError as e:
            raise MalformedValueError(job, self, str(e)) from e

    async def _write(self, job: str, data: Any) -> None:
        data = check_value(self, job, data)
        document, portable = build_document(self, job, data)
        with self._errors("write", job):
            if not portable and not await self._provider.supports_all_values(self):
                document = to_document(job, data, ferretdb_compatible=True)
            await run_to_completion(replace(self._ready(), job, serialize(self, job, document)))

    def __repr__(self) -> str:
        arguments = f"<collection {self._provider.name}>"
        if self.subcollection is not None:
            arguments += f", {self.subcollection!r}"
        view = f".query({self._filter!r})" if self._filter else ""
        return f"{type(self).__name__}({arguments}){view}"


def _combine_filters(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return a filter that requires both filters to match."""
    return {"$and": [one, other]} if one.keys() & other.keys() else {**one, **other}


def _name(document: dict[str, Any]) -> str:
    """Return the ``_id`` of a document; one that is not a string becomes an invalid job id."""
    name = document["_id"]
    return name if type(name) is str else f"<{type(name).__name__} {name!r}>"


def _batches_of(jobs: list[str]) -> Iterator[list[str]]:
    return (jobs[start : start + BATCH_DOCUMENTS] for start in range(0, len(jobs), BATCH_DOCUMENTS))
