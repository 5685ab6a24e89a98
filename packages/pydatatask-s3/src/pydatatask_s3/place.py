"""Where an object is, and whose it is."""

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

__all__ = ["ObjectPlace", "canonical_endpoint"]

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Address(TypedDict):
    """The arguments by which every request names an object."""

    Bucket: str
    Key: str


@dataclass(frozen=True)
class ObjectPlace:
    """The place of a job's object, whether it is there or not.

    :param repository: the repository that it belongs to.
    :param client: the client by which it is reached.
    :param bucket: the bucket's name.
    :param key: the object's name.
    :param job: the job.
    """

    repository: Repository
    client: S3Client
    bucket: str
    key: str
    job: str

    @property
    def address(self) -> Address:
        """What names the object in a request."""
        return {"Bucket": self.bucket, "Key": self.key}

    def errors(self, action: str) -> AbstractContextManager[None]:
        """Translate the errors that occur inside the context.

        :param action: what is attempted, as an infinitive without an object ("read").
        """
        return store_errors(self.repository, f"{action} job {self.job!r}", str(self))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def canonical_endpoint(url: str) -> tuple[str, int | None, str]:
    """Return the same host, port and path for every spelling of an endpoint.

    :param url: the URL of the server.
    """
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return canonical_host(parts.hostname or ""), port, parts.path.rstrip("/")
