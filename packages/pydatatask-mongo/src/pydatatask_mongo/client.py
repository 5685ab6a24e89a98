"""The common interface of collections of motor and of PyMongo's own asyncio client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from bson.codec_options import CodecOptions, DatetimeConversion

from pydatatask_core.errors import RepositoryConfigurationError

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorCollection
    from pymongo.asynchronous.collection import AsyncCollection

    Collection: TypeAlias = AsyncIOMotorCollection[Any] | AsyncCollection[Any]

__all__ = ["CODEC_OPTIONS", "servers_of", "supports_all_values", "with_codec_options"]

# Dates are read without a time zone, which is added later, ten times as fast as by the library.
CODEC_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
"""The codec options for all requests, so that values do not depend on the user's options."""


def with_codec_options(raw: Any, owner: object) -> Collection:
    """Return a collection with :data:`CODEC_OPTIONS`.

    Its other options, such as the read preference and the concerns, are kept.

    :param raw: the result of the user's callable.
    :param owner: the repository.
    :raises RepositoryConfigurationError: if ``given`` is not an asyncio collection.
    """
    # A database or client returns a collection for any attribute name, so the type is checked.
    if not isinstance(getattr(raw, "full_name", None), str):
        raise RepositoryConfigurationError(
            f"{owner!r} got a {_kind(raw)} but needs a collection, such as "
            'client["database"]["collection"]'
        )
    if not hasattr(raw.find({}), "__anext__"):
        raise RepositoryConfigurationError(
            f"{owner!r} got a {_kind(raw)}, which blocks the event loop; get the collection from "
            "a pymongo.AsyncMongoClient or motor.motor_asyncio.AsyncIOMotorClient"
        )
    collection: Collection = raw.with_options(codec_options=CODEC_OPTIONS)
    return collection


def servers_of(collection: Collection) -> str:
    """Return the servers known to a collection's client, without credentials."""
    servers = collection.database.client.topology_description.server_descriptions()
    return ",".join(sorted(f"{host}:{port}" if port else host for host, port in servers))


async def supports_all_values(collection: Collection) -> bool:
    """Return whether the server stores all BSON values, according to its version.

    FerretDB 1 supports neither lists in lists nor infinite and undefined floats, makes negative
    zeros positive, and cannot read back the keys with quotes or control characters that it stores.
    It reports its own version in addition to that of the MongoDB that it emulates.

    :param collection: a collection of the server.
    """
    return "ferretdbVersion" not in await collection.database.command("buildInfo")


def _kind(raw: object) -> str:
    return f"{type(raw).__module__}.{type(raw).__qualname__}"
