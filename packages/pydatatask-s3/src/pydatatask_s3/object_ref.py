"""References to objects in a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit

from pydatatask_core.repository.location import canonical_host

from .errors import store_errors

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from types_aiobotocore_s3 import S3Client

    from pydatatask_core.repository import Repository

__all__ = ["ObjectRef", "canonical_endpoint"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Address(TypedDict):
    """The request arguments that identify an object."""

    Bucket: str
    Key: str


@dataclass(frozen=True)
class ObjectRef:
    """A reference to the object of a job, which need not exist.

    :param repository: the repository of the object.
    :param client: the client for requests.
    :param bucket: the name of the bucket.
    :param key: the name of the object.
    :param job: the job.
    """

    repository: Repository
    client: S3Client
    bucket: str
    key: str
    job: str

    @property
    def address(self) -> Address:
        """The request arguments that identify the object."""
        return {"Bucket": self.bucket, "Key": self.key}

    def errors(self, action: str) -> AbstractContextManager[None]:
        """Translate client library errors inside the context.

        :param action: the operation as an infinitive without an object ("read").
        """
        return store_errors(self.repository, f"{action} job {self.job!r}", str(self))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def canonical_endpoint(url: str) -> tuple[str, int | None, str]:
    """Return host, port and path of an endpoint, the same for equivalent URLs.

    :param url: the URL of the server.
    """
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return canonical_host(parts.hostname or ""), port, parts.path.rstrip("/")
