"""Creation of documents that the server accepts, and their storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bson
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo.errors import DuplicateKeyError

from pydatatask_core.errors import UnsupportedValueError
from pydatatask_core.repository.data_model import to_data_model

from .client import CODEC_OPTIONS
from .encoder import NATIVE, nesting_depth, to_document

if TYPE_CHECKING:
    from pydatatask_core.repository import Repository

    from .client import Collection

__all__ = ["build_document", "check_value", "replace", "serialize"]

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
MAX_NESTING_DEPTH = 100
"""The maximum size in bytes and nesting of a document ("MongoDB Limits and Thresholds", manual)."""


def check_value(repository: Repository, job: str, value: Any) -> Any:
    """Check a value and convert NumPy numbers in it; BSON types are kept.

    :param repository: the repository to store it in.
    :param job: the job.
    :param value: the value.
    :raises UnsupportedValueError: if it would not be equal when read back.
    """
    return to_data_model(job, repository, value, NATIVE)


def build_document(repository: Repository, job: str, value: Any) -> tuple[dict[str, Any], bool]:
    """Return the document of a value for MongoDB, and whether it is also valid for FerretDB 1.

    :param repository: the repository to store it in.
    :param job: the job.
    :param value: the value, as returned by :func:`check_value`.
    :raises UnsupportedValueError: if it is nested too deeply.
    """
    try:
        document = to_document(job, value)
        depth = nesting_depth(document)
        portable = document == to_document(job, value, ferretdb_compatible=True)
    except RecursionError:
        depth = MAX_NESTING_DEPTH + 1
    if depth > MAX_NESTING_DEPTH:
        problem = f"its document has more than {MAX_NESTING_DEPTH} levels of nesting, the maximum"
        raise UnsupportedValueError(job, repository, problem)
    return document, portable


def serialize(repository: Repository, job: str, document: dict[str, Any]) -> RawBSONDocument:
    """Return a document encoded as BSON.

    :param repository: the repository to store it in.
    :param job: the job.
    :param document: the document of a value of the data model.
    :raises UnsupportedValueError: if it is too large, or contains text that is not valid Unicode.
    """
    try:
        data = bson.encode(document, codec_options=CODEC_OPTIONS)
    except (BSONError, UnicodeError) as e:
        raise UnsupportedValueError(job, repository, f"BSON cannot store it: {e}") from e
    if len(data) > MAX_DOCUMENT_BYTES:
        problem = f"it takes {len(data):,} bytes, the maximum is {MAX_DOCUMENT_BYTES:,} (16 MiB)"
        raise UnsupportedValueError(job, repository, problem)
    return RawBSONDocument(data)


async def replace(collection: Collection, job: str, document: RawBSONDocument) -> None:
    """Insert a document, or replace the one with the same id, atomically.

    :param collection: the collection.
    :param job: the document's ``_id``.
    :param document: the document.
    """
    try:
        await collection.replace_one({"_id": job}, document, upsert=True)
    except DuplicateKeyError:
        # When several clients insert the same job at once, all but one get this error (manual,
        # "Upsert with Duplicate Values"), and can replace the document now. If the error recurs, it
        # is about another index.
        await collection.replace_one({"_id": job}, document, upsert=True)
