"""Metadata as YAML objects of a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.repository import YamlMetadataRepository
from pydatatask_core.repository.encoded.base import MAX_BYTES, check_max_bytes

from .bucket import S3BucketRepository
from .multipart import PART_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_aiobotocore_s3 import S3Client

__all__ = ["YamlMetadataS3Repository"]


class YamlMetadataS3Repository(YamlMetadataRepository, S3BucketRepository):
    """A metadata repository based on an S3 bucket repository.

    :param client: a callable returning an aiobotocore S3 client, as for
        :class:`S3BucketRepository`.
    :param bucket: the name of the bucket.
    :param prefix: the prefix of object names.
    :param suffix: the suffix of object names, including the dot.
    :param mimetype: the MIME type of new objects.
    :param incluster_endpoint: optional: an endpoint URL for ``info()`` instead of the client's.
    :param part_size: the maximum number of bytes in one request.
    :param max_bytes: the maximum size of an object in bytes; a larger one is neither read nor
        written.
    """

    def __init__(
        self,
        client: Callable[[], S3Client],
        bucket: str,
        prefix: str,
        suffix: str = ".yaml",
        mimetype: str = "text/yaml",
        incluster_endpoint: str | None = None,
        *,
        part_size: int = PART_BYTES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__(
            client, bucket, prefix, suffix, mimetype, incluster_endpoint, part_size=part_size
        )
        self.max_bytes = check_max_bytes(type(self).__name__, max_bytes)
