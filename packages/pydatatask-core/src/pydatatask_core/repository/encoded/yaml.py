"""Metadata as YAML."""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, ClassVar

from pydatatask_core.repository.blob import BlobRepository
from pydatatask_core.repository.files.file import FileRepository
from pydatatask_core.repository.metadata import MetadataRepository

from . import base
from .base import MAX_BYTES, check_max_bytes
from .codecs import flat_yaml

if TYPE_CHECKING:
    import os

__all__ = ["YamlMetadataFileRepository", "YamlMetadataRepository"]


class YamlMetadataRepository(BlobRepository, MetadataRepository, ABC):
    """A metadata repository based on a blob repository.

    When info is accessed, it will **load the target file into memory**, parse it as YAML, and
    return the resulting object. This is a base class, and must be overridden to implement the
    blob loading portion.

    Values are read back exactly as they were written. Files from other sources are read as YAML
    1.1: a date is a ``datetime.date``, keys may be numbers, and an empty document is None. Tags of
    programming languages, duplicate keys in a mapping, aliases that expand to more than a million
    values, and more than 500 levels are errors.
    """

    max_bytes: int = MAX_BYTES
    """The maximum size of a value in bytes of text; a larger one is neither read nor written."""

    info = base.info
    info_many = base.info_many
    info_all = base.info_all
    dump = base.dump

    @staticmethod
    def _codec() -> base.Codec:
        return flat_yaml


class YamlMetadataFileRepository(YamlMetadataRepository, FileRepository):
    """A metadata repository based on a file blob repository.

    :param filename: the folder.
    :param extension: the suffix of the file names after the job id, including the dot.
    :param case_insensitive: whether names match ignoring case; see :class:`FileRepositoryBase`.
    :param durable: whether written values, and deletions, survive a power failure.
    :param max_bytes: the maximum size of a file; a larger one is neither read nor written.
    :param follow_links: whether symbolic links are followed; see :class:`FileRepositoryBase`.
    """

    _DEFAULT_EXTENSION: ClassVar[str] = ".yaml"

    def __init__(
        self,
        filename: str | os.PathLike[str],
        extension: str = ".yaml",
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
