"""Repositories: sets of job names with something behind each name.

Nothing here knows what a task or a pipeline is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from .base import Repository as Repository
    from .blob import BlobRepository as BlobRepository
    from .directory import DirectoryRepository as DirectoryRepository
    from .file import FileRepository as FileRepository
    from .file import FileRepositoryBase as FileRepositoryBase
    from .inprocess import InProcessBlobRepository as InProcessBlobRepository
    from .inprocess import InProcessBlobStream as InProcessBlobStream
    from .inprocess import InProcessMetadataRepository as InProcessMetadataRepository
    from .json import JsonMetadataFileRepository as JsonMetadataFileRepository
    from .json import JsonMetadataRepository as JsonMetadataRepository
    from .listing import Combinator as Combinator
    from .listing import Listing as Listing
    from .location import Location as Location
    from .map import MapRepository as MapRepository
    from .map import SucceededRepository as SucceededRepository
    from .markup import decode_metadata as decode_metadata
    from .markup import encode_metadata as encode_metadata
    from .metadata import MetadataRepository as MetadataRepository
    from .names import decode_job_id as decode_job_id
    from .names import encode_job_id as encode_job_id
    from .related import RelatedItemRepository as RelatedItemRepository
    from .setops import AggregateAndRepository as AggregateAndRepository
    from .setops import AggregateOrRepository as AggregateOrRepository
    from .setops import BlockingRepository as BlockingRepository
    from .yaml import YamlMetadataFileRepository as YamlMetadataFileRepository
    from .yaml import YamlMetadataRepository as YamlMetadataRepository

__all__ = [
    "AggregateAndRepository",
    "AggregateOrRepository",
    "BlobRepository",
    "BlockingRepository",
    "Combinator",
    "DirectoryRepository",
    "FileRepository",
    "FileRepositoryBase",
    "InProcessBlobRepository",
    "InProcessBlobStream",
    "InProcessMetadataRepository",
    "JsonMetadataFileRepository",
    "JsonMetadataRepository",
    "Listing",
    "Location",
    "MapRepository",
    "MetadataRepository",
    "RelatedItemRepository",
    "Repository",
    "SucceededRepository",
    "YamlMetadataFileRepository",
    "YamlMetadataRepository",
    "decode_job_id",
    "decode_metadata",
    "encode_job_id",
    "encode_metadata",
]

_SOURCES = {
    ".base": ("Repository",),
    ".blob": ("BlobRepository",),
    ".markup": ("decode_metadata", "encode_metadata"),
    ".metadata": ("MetadataRepository",),
    ".file": ("FileRepository", "FileRepositoryBase"),
    ".directory": ("DirectoryRepository",),
    ".yaml": ("YamlMetadataFileRepository", "YamlMetadataRepository"),
    ".json": ("JsonMetadataFileRepository", "JsonMetadataRepository"),
    ".inprocess": ("InProcessBlobRepository", "InProcessBlobStream", "InProcessMetadataRepository"),
    ".setops": ("AggregateAndRepository", "AggregateOrRepository", "BlockingRepository"),
    ".location": ("Location",),
    ".map": ("MapRepository", "SucceededRepository"),
    ".related": ("RelatedItemRepository",),
    ".names": ("decode_job_id", "encode_job_id"),
    ".listing": ("Combinator", "Listing"),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
