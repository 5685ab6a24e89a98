"""Metadata as YAML."""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, Any, ClassVar

from .base import MAX_BYTES, EncodedMetadataRepository
from .codecs.flat import encode_flat
from .encoded_file import EncodedFileRepository

if TYPE_CHECKING:
    import os

__all__ = ["YamlMetadataFileRepository", "YamlMetadataRepository"]


class YamlMetadataRepository(EncodedMetadataRepository, ABC):
    """A metadata repository based on a blob repository.

    When info is accessed, it will **load the target file into memory**, parse it as YAML, and
    return the resulting object. This is a base class, and must be overridden to implement the
    blob loading portion.

    Values are read back exactly as they were written. Files from other sources are read as YAML
    1.1: a date is a ``datetime.date``, keys may be numbers, and an empty document is None. Tags of
    programming languages, duplicate keys in a mapping, aliases that expand to more than a million
    values, and more than 500 levels are errors.
    """

    @staticmethod
    def _encode(data: Any) -> bytes:
        if (lines := encode_flat(data)) is not None:
            return lines
        from .codecs import yaml_codec as codec

        return codec.encode(data)

    @staticmethod
    def _decode(data: bytes) -> Any:
        from .codecs import yaml_codec as codec

        return codec.decode(data)


class YamlMetadataFileRepository(YamlMetadataRepository, EncodedFileRepository):
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
            filename,
            extension,
            case_insensitive,
            durable=durable,
            max_bytes=max_bytes,
            follow_links=follow_links,
        )
