"""What templates get to know about an object."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["S3BucketInfo"]


@dataclass(frozen=True)
class S3BucketInfo:
    """The data structure returned from :meth:`S3BucketRepository.info`; as text it is the URI.

    :param endpoint: the URL of the API server providing the S3 interface.
    :param uri: the URI of the job's object, e.g. ``s3://bucket/prefix/job.ext``.
    :param bucket: the name of the bucket objects are stored in.
    :param prefix: how to prefix an object name such that it will fit into this repository.
    :param suffix: how to suffix an object name such that it will fit into this repository.
    """

    endpoint: str
    uri: str
    bucket: str
    prefix: str
    suffix: str

    def __str__(self) -> str:
        return self.uri
