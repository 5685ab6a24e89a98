"""Making a document that the server will take, and putting it in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bson
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo.errors import DuplicateKeyError

from pydatatask_core.errors import UnsupportedValueError
from pydatatask_core.repository.data_model import to_data_model

from .client import CODEC_OPTIONS
from .encoding import NATIVE, levels, to_document

if TYPE_CHECKING:
    from pydatatask_core.repository import Repository

    from .client import Collection

__all__ = ["checked_document", "checked_value", "replace", "serialized"]

MAX_SIZE = 16 * 1024 * 1024
MAX_LEVELS = 100
"""How many bytes and levels a document may have ("MongoDB Limits and Thresholds", manual)."""


def checked_value(repository: Repository, job: str, value: Any) -> Any:
    """Check a value, and convert NumPy's numbers in it; types of BSON stay as they are.

    :param repository: where it is to be stored.
    :param job: whose value it is.
    :param value: the value.
    :raises UnsupportedValueError: if it would not come back equal.
    """
    return to_data_model(job, repository, value, NATIVE)


def checked_document(repository: Repository, job: str, value: Any) -> tuple[dict[str, Any], bool]:
    """Make the document of a value as MongoDB takes it, and tell whether every server does.

    :param repository: where it is to be stored.
    :param job: whose value it is.
    :param value: the value, as :func:`checked_value` returns it.
    :raises UnsupportedValueError: if it is nested too deeply.
    """
    try:
        document = to_document(job, value)
        depth = levels(document)
        portable = document == to_document(job, value, careful=True)
    except RecursionError:
        depth = MAX_LEVELS + 1
    if depth > MAX_LEVELS:
        problem = f"it is nested more than the {MAX_LEVELS} levels deep that a document may be"
        raise UnsupportedValueError(job, repository, problem)
    return document, portable


def serialized(repository: Repository, job: str, document: dict[str, Any]) -> RawBSONDocument:
    """Make the bytes of a document, or refuse it if no server will take them.

    :param repository: where it is to be stored.
    :param job: whose document it is.
    :param document: made of a value of the data model.
    :raises UnsupportedValueError: if it is too large, or has text that is none.
    """
    try:
        data = bson.encode(document, codec_options=CODEC_OPTIONS)
    except (BSONError, UnicodeError) as e:
        raise UnsupportedValueError(job, repository, f"BSON cannot hold it: {e}") from e
    if len(data) > MAX_SIZE:
        problem = f"it takes {len(data):,} bytes, and a document may have {MAX_SIZE:,} (16 MiB)"
        raise UnsupportedValueError(job, repository, problem)
    return RawBSONDocument(data)


async def replace(collection: Collection, job: str, document: RawBSONDocument) -> None:
    """Put a document in the place of the one that is there, if any, in one step.

    :param collection: where.
    :param job: the document's ``_id``.
    :param document: the document.
    """
    try:
        await collection.replace_one({"_id": job}, document, upsert=True)
    except DuplicateKeyError:
        # When several insert the same job at once all but one are told this (manual, "Upsert with
        # Duplicate Values"), and then there is one to replace. If not, another index is meant.
        await collection.replace_one({"_id": job}, document, upsert=True)
