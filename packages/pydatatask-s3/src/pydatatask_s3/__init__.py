"""Repositories in Amazon S3 and in object stores that speak its protocol.

Here belong: repositories whose values are objects of a bucket, the streams that read and write
those objects in bounded memory, and the translation of the client library's errors into
pydatatask's own.

Here do not belong: a client (the user makes it and hands it in through a session resource),
knowledge of another backend, and any policy that :mod:`pydatatask_core` already keeps, such as
the data model of metadata or what makes a job id valid. ``aiobotocore`` and ``botocore`` are
imported in this package and nowhere else; nothing of pydatatask but the core is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.lazy import lazy_names

if TYPE_CHECKING:
    from .bucket import S3BucketRepository as S3BucketRepository
    from .client import s3_client as s3_client
    from .info import S3BucketInfo as S3BucketInfo
    from .yaml import YamlMetadataS3Repository as YamlMetadataS3Repository

__all__ = ["S3BucketInfo", "S3BucketRepository", "YamlMetadataS3Repository", "s3_client"]

_SOURCES = {
    ".bucket": ("S3BucketRepository",),
    ".client": ("s3_client",),
    ".info": ("S3BucketInfo",),
    ".yaml": ("YamlMetadataS3Repository",),
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(globals(), _SOURCES)
