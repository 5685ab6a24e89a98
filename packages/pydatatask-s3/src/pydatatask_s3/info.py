"""The information about an object that templates can use."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["S3BucketInfo"]


@dataclass(frozen=True)
class S3BucketInfo:
    """The data structure returned from :meth:`S3BucketRepository.info`; as text it is the URI.

    :param endpoint: the URL of the API server providing the S3 interface.
    :param uri: the URI of the job's object, e.g. ``s3://bucket/prefix/job.ext``.
    :param bucket: the name of the bucket objects are stored in.
    :param prefix: the prefix of object names in this repository.
    :param suffix: the suffix of object names in this repository.
    """

    endpoint: str
    uri: str
    bucket: str
    prefix: str
    suffix: str

    def __str__(self) -> str:
        return self.uri
