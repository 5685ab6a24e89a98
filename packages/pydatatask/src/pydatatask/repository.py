"""Repositories: arbitrary key-value stores whose keys are the names of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import installed_names, lazy_names

if TYPE_CHECKING:
    from pydatatask_core.repository import (
        AggregateAndRepository,
        AggregateOrRepository,
        BlobRepository,
        BlockingRepository,
        DirectoryRepository,
        FileRepository,
        FileRepositoryBase,
        InProcessBlobRepository,
        InProcessBlobStream,
        InProcessMetadataRepository,
        JsonMetadataFileRepository,
        JsonMetadataRepository,
        MapRepository,
        MetadataRepository,
        RelatedItemRepository,
        Repository,
        SucceededRepository,
        YamlMetadataFileRepository,
        YamlMetadataRepository,
        decode_job_id,
        encode_job_id,
    )
    from pydatatask_core.task import ExecutorLiveRepo
    from pydatatask_mongo import MongoMetadataRepository
    from pydatatask_s3 import S3BucketInfo, S3BucketRepository, YamlMetadataS3Repository

__all__ = [
    "AggregateAndRepository",
    "AggregateOrRepository",
    "BlobRepository",
    "BlockingRepository",
    "DirectoryRepository",
    "ExecutorLiveRepo",
    "FileRepository",
    "FileRepositoryBase",
    "InProcessBlobRepository",
    "InProcessBlobStream",
    "InProcessMetadataRepository",
    "JsonMetadataFileRepository",
    "JsonMetadataRepository",
    "MapRepository",
    "MetadataRepository",
    "MongoMetadataRepository",
    "RelatedItemRepository",
    "Repository",
    "S3BucketInfo",
    "S3BucketRepository",
    "SucceededRepository",
    "YamlMetadataFileRepository",
    "YamlMetadataRepository",
    "YamlMetadataS3Repository",
    "decode_job_id",
    "encode_job_id",
]

_SOURCES = {
    "pydatatask_core.repository": (
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
        "MapRepository",
        "MetadataRepository",
        "RelatedItemRepository",
        "Repository",
        "SucceededRepository",
        "YamlMetadataFileRepository",
        "YamlMetadataRepository",
        "decode_job_id",
        "encode_job_id",
    ),
    "pydatatask_core.task": ("ExecutorLiveRepo",),
    "pydatatask_mongo": ("MongoMetadataRepository",),
    "pydatatask_s3": ("S3BucketInfo", "S3BucketRepository", "YamlMetadataS3Repository"),
}

_BACKENDS = {"pydatatask_mongo": "pydatatask[mongo]", "pydatatask_s3": "pydatatask[s3]"}

if not TYPE_CHECKING:
    __all__[:] = installed_names(__all__, _SOURCES, _BACKENDS)
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES, backends=_BACKENDS)
