"""Metadata as YAML objects of a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydatatask_core.repository import YamlMetadataRepository
from pydatatask_core.repository.encoded import MAX_BYTES, check_max_bytes

from .bucket import S3BucketRepository
from .multipart import PART_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_aiobotocore_s3 import S3Client

__all__ = ["YamlMetadataS3Repository"]


class YamlMetadataS3Repository(YamlMetadataRepository, S3BucketRepository):
    """A metadata repository based on an S3 bucket repository.

    :param client: as for :class:`S3BucketRepository`, like all that follows.
    :param bucket: the name of the bucket.
    :param prefix: what object names begin with.
    :param suffix: what object names end with, with its dot.
    :param mimetype: the MIME type of what is added.
    :param incluster_endpoint: optional: an endpoint URL to tell instead of the client's.
    :param part_size: how many bytes to put in one request at most.
    :param max_bytes: how many bytes an object may have; a larger one is neither read nor written.
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
        part_size: int = PART_SIZE,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__(
            client, bucket, prefix, suffix, mimetype, incluster_endpoint, part_size=part_size
        )
        self.max_bytes = check_max_bytes(type(self).__name__, max_bytes)

    def _describe_place(self, job: str) -> str:
        return f"s3://{self.bucket}/{self.object_name(job)}"
