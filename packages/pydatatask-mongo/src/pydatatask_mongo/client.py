"""What the collections of motor and of PyMongo's own asyncio interface have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from bson.codec_options import CodecOptions, DatetimeConversion

from pydatatask_core.errors import RepositoryConfigurationError

if TYPE_CHECKING:
    from motor.motor_asyncio import AsyncIOMotorCollection
    from pymongo.asynchronous.collection import AsyncCollection

    Collection: TypeAlias = AsyncIOMotorCollection[Any] | AsyncCollection[Any]

__all__ = ["CODEC_OPTIONS", "servers_of", "takes_all_values", "usable"]

# Dates are read without a zone, and get theirs later: the client library takes ten times as long.
CODEC_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
"""What makes values the same whatever the user has set for other uses of the collection."""


def usable(given: Any, owner: object) -> Collection:
    """Give a collection with our codec options, or say why it is none that we can use.

    Whatever else is set for it, such as read preference and concerns, stays.

    :param given: what the user's callable gave.
    :param owner: which repository it is for.
    :raises RepositoryConfigurationError: if it does not behave like a collection for asyncio.
    """
    # A database or client gives a collection for whatever attribute it is asked for.
    if not isinstance(getattr(given, "full_name", None), str):
        raise RepositoryConfigurationError(
            f"{owner!r} was given a {_kind(given)} and needs a collection, such as "
            'client["database"]["collection"]'
        )
    if not hasattr(given.find({}), "__anext__"):
        raise RepositoryConfigurationError(
            f"{owner!r} was given a {_kind(given)}, which would block; make the collection with "
            "pymongo.AsyncMongoClient or motor.motor_asyncio.AsyncIOMotorClient"
        )
    collection: Collection = given.with_options(codec_options=CODEC_OPTIONS)
    return collection


def servers_of(collection: Collection) -> str:
    """Name the servers of a collection as its client knows them, without credentials."""
    servers = collection.database.client.topology_description.server_descriptions()
    return ",".join(sorted(f"{host}:{port}" if port else host for host, port in servers))


async def takes_all_values(collection: Collection) -> bool:
    """Ask the server whether it holds whatever BSON does.

    FerretDB 1 has neither lists in lists nor floats like infinity, makes negative zeros positive,
    and stores keys with quotes or control characters so that it cannot read them any more. It
    tells its version beside that of the MongoDB that it stands for.

    :param collection: a collection of that server.
    """
    return "ferretdbVersion" not in await collection.database.command("buildInfo")


def _kind(given: object) -> str:
    return f"{type(given).__module__}.{type(given).__qualname__}"
