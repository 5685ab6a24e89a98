"""Metadata as JSON."""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, ClassVar

from pydatatask_core.repository.blob import BlobRepository
from pydatatask_core.repository.files.file import FileRepository
from pydatatask_core.repository.metadata import MetadataRepository

from . import base
from .base import MAX_BYTES, check_max_bytes

if TYPE_CHECKING:
    import os

__all__ = ["JsonMetadataFileRepository", "JsonMetadataRepository"]


class JsonMetadataRepository(BlobRepository, MetadataRepository, ABC):
    """A metadata repository based on a blob repository, whose values are JSON.

    This is a base class, and must be overridden to implement the blob loading portion.

    Values are read back exactly as they were written. A value that JSON cannot represent is written
    as an object with one member: ``{"$datetime": "2024-02-29T12:00:00+01:00"}``,
    ``{"$bytes": "<base64>"}``, ``{"$float": "nan"}``, ``{"$int": "0x..."}`` for integers of
    hundreds of digits, ``{"$pydatatask.date": "2024-02-29"}``, ``{"$pydatatask.set": [1, 2]}``,
    ``{"$pydatatask.dict": [[1, "one"]]}`` for keys that are not text, and
    ``{"$pydatatask.pairs": [["a", 1]]}``; a dict that looks like one of these is written with one
    more dollar sign. Duplicate keys in an object and more than 500 levels are errors.
    """

    max_bytes: int = MAX_BYTES
    """The maximum size of a value in bytes of text; a larger one is neither read nor written."""

    info = base.info
    info_many = base.info_many
    info_all = base.info_all
    dump = base.dump

    @staticmethod
    def _codec() -> base.Codec:
        from .codecs import json_codec  # imported late, when a value is read or written

        return json_codec


class JsonMetadataFileRepository(JsonMetadataRepository, FileRepository):
    """A metadata repository based on a file blob repository.

    The parameters are those of :class:`YamlMetadataFileRepository`.
    """

    _DEFAULT_EXTENSION: ClassVar[str] = ".json"

    def __init__(
        self,
        filename: str | os.PathLike[str],
        extension: str = ".json",
        case_insensitive: bool = False,
        *,
        durable: bool = False,
        max_bytes: int = MAX_BYTES,
        follow_links: bool = True,
    ) -> None:
        super().__init__(
            filename, extension, case_insensitive, durable=durable, follow_links=follow_links
        )
        self.max_bytes = check_max_bytes(type(self).__name__, max_bytes)
