"""Repositories: sets of job ids with a value or file behind each.

This layer does not depend on tasks or pipelines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from .base import Repository as Repository
    from .blob import BlobRepository as BlobRepository
    from .encoded.json import JsonMetadataFileRepository, JsonMetadataRepository
    from .encoded.yaml import YamlMetadataFileRepository, YamlMetadataRepository
    from .files.directory import DirectoryRepository
    from .files.file import FileRepository, FileRepositoryBase
    from .job_ids import decode_job_id, encode_job_id
    from .location import Location as Location
    from .memory import InProcessBlobRepository, InProcessBlobStream, InProcessMetadataRepository
    from .metadata import MetadataRepository as MetadataRepository
    from .metadata_yaml import decode_metadata, encode_metadata
    from .snapshot import Snapshot, View
    from .views.filtered import MapRepository, SucceededRepository
    from .views.related import RelatedItemRepository
    from .views.sets import AggregateAndRepository, AggregateOrRepository, BlockingRepository

__all__ = [
    "AggregateAndRepository",
    "AggregateOrRepository",
    "BlobRepository",
    "BlockingRepository",
    "DirectoryRepository",
    "FileRepository",
    "FileRepositoryBase",
    "InProcessBlobRepository",
    "InProcessBlobStream",
    "InProcessMetadataRepository",
    "JsonMetadataFileRepository",
    "JsonMetadataRepository",
    "Location",
    "MapRepository",
    "MetadataRepository",
    "RelatedItemRepository",
    "Repository",
    "Snapshot",
    "SucceededRepository",
    "View",
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
    ".files.directory": ("DirectoryRepository",),
    ".files.file": (
        "FileRepository",
        "FileRepositoryBase",
    ),
    ".memory": (
        "InProcessBlobRepository",
        "InProcessBlobStream",
        "InProcessMetadataRepository",
    ),
    ".encoded.json": (
        "JsonMetadataFileRepository",
        "JsonMetadataRepository",
    ),
    ".snapshot": (
        "View",
        "Snapshot",
    ),
    ".location": ("Location",),
    ".views.filtered": (
        "MapRepository",
        "SucceededRepository",
    ),
    ".metadata_yaml": (
        "decode_metadata",
        "encode_metadata",
    ),
    ".metadata": ("MetadataRepository",),
    ".job_ids": (
        "decode_job_id",
        "encode_job_id",
    ),
    ".views.related": ("RelatedItemRepository",),
    ".views.sets": (
        "AggregateAndRepository",
        "AggregateOrRepository",
        "BlockingRepository",
    ),
    ".encoded.yaml": (
        "YamlMetadataFileRepository",
        "YamlMetadataRepository",
    ),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
