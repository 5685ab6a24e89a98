"""Repositories in Amazon S3 and compatible object stores.

This package contains the repositories whose values are objects of a bucket, the streams that read
and write these objects in bounded memory, and the translation of the client library's errors into
those of pydatatask.

It does not contain a client (the user creates one and passes it in as a session resource), code
that depends on another backend, or rules that belong to :mod:`pydatatask_core`, such as the data
model of metadata or the valid job ids. ``aiobotocore`` and ``botocore`` are imported in this
package only, and this package imports no pydatatask package except the core.
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
