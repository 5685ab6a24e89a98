"""Repositories whose values are the objects of a bucket."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

from botocore.exceptions import ClientError

from pydatatask_core.errors import InvalidJobIdError, SessionError
from pydatatask_core.repository import BlobRepository
from pydatatask_core.repository.blob import check_mode
from pydatatask_core.utils import AReadText, AWriteText, run_to_completion

from .arguments import check_client, check_part_size, check_texts
from .bucket_setup import BucketSetup
from .errors import is_absent, store_errors
from .info import S3BucketInfo
from .multipart import PART_BYTES
from .object_ref import ObjectRef, canonical_endpoint
from .reader import ObjectReader
from .writer import ObjectWriter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from types_aiobotocore_s3 import S3Client

    from pydatatask_core.repository.blob import BlobMode
    from pydatatask_core.repository.location import Location

__all__ = ["S3BucketRepository"]

MAX_KEY_BYTES = 1024
"""The maximum length of a key in bytes of UTF-8 ("Naming Amazon S3 objects", User Guide)."""

_TEXT_CHUNK_BYTES = 64 * 1024

_SLASHES = re.compile("/{2,}")


class S3BucketRepository(BlobRepository):
    """A repository where keys are paths in an S3 bucket.

    It provides a streaming interface to the corresponding blobs. A value becomes visible when its
    stream is closed; until then, the server keeps a large value as an incomplete upload, which
    listings do not show. Keys with further slashes are not members of the repository, and listing
    skips them one folder at a time.

    Timeouts, retries and the number of connections are configured in the client.

    :param client: a callable returning an aiobotocore S3 client, connected and authenticated to
        the server you wish to store things on, such as a resource of a session.
    :param bucket: the name of the bucket from which to load and store.
    :param prefix: a prefix to put on the job name before translating it into a bucket path. If
        this is meant to be a directory name it should end with a slash character.
    :param suffix: a suffix to put on the job name before translating it into a bucket path. If
        this is meant to be a file extension it should start with a dot.
    :param mimetype: the MIME type to set the content when adding data.
    :param incluster_endpoint: optional: an endpoint URL to provide as the result of ``info()``
        queries instead of extracting the URL from client.
    :param part_size: the number of bytes to buffer before they are sent, at least 5 MiB. An object
        of at most this size is uploaded in one request; a larger one holds up to four parts in
        memory. On servers that accept only parts of equal size, an object has at most 5000 parts.
    :raises TypeError: if an argument has the wrong type.
    :raises RepositoryConfigurationError: if an argument has an invalid value.
    """

    def __init__(
        self,
        client: Callable[[], S3Client],
        bucket: str,
        prefix: str = "",
        suffix: str = "",
        mimetype: str = "application/octet-stream",
        incluster_endpoint: str | None = None,
        *,
        part_size: int = PART_BYTES,
    ) -> None:
        owner = type(self).__name__
        check_client(owner, client)
        check_texts(owner, bucket=bucket, prefix=prefix, suffix=suffix, mimetype=mimetype)
        if incluster_endpoint is not None:
            check_texts(owner, incluster_endpoint=incluster_endpoint)
        check_part_size(owner, part_size)
        self._client = client
        self.bucket = bucket
        self.prefix = prefix
        self.suffix = suffix
        self.mimetype = mimetype
        self.incluster_endpoint = incluster_endpoint
        self.part_size = part_size
        self._max_job_id_bytes = MAX_KEY_BYTES - len(f"{prefix}{suffix}".encode())

    @property
    def client(self) -> S3Client:
        """The aiobotocore S3 client.

        :raises SessionError: if it is the resource of a session that is not open.
        """
        return self._client()

    def check_job_id(self, job: str) -> None:
        super().check_job_id(job)
        if len(job) > self._max_job_id_bytes or len(job.encode()) > self._max_job_id_bytes:
            rule = (
                f"prefix, job and suffix together exceed {MAX_KEY_BYTES} bytes, the limit of a key"
            )
            raise InvalidJobIdError(job, self, rule)

    @property
    def plain_job_id_length(self) -> int:
        length = self._plain_length(S3BucketRepository.check_job_id)
        return length if length <= self._max_job_id_bytes else 0

    def object_name(self, job: str) -> str:
        """Return the object name for the given job."""
        self.check_job_id(job)
        return f"{self.prefix}{job}{self.suffix}"

    async def contains(self, item: str) -> bool:
        if not self.is_valid_job_id(item):
            return False
        ref = self._ref(item)
        with ref.errors("look for"):
            try:
                await ref.client.head_object(**ref.address)
            except ClientError as e:
                if is_absent(e, head=True):
                    return False
                raise
        return True

    async def unfiltered_iter(self) -> AsyncGenerator[str, None]:
        async for names in self._pages():
            for name in names:
                yield name

    async def keys(self) -> frozenset[str]:
        keys: list[str] = []
        async for names in self._pages():
            keys += names
        return frozenset(self.valid_names(keys))

    @overload
    async def open(self, job: str, mode: Literal["r"] = ...) -> AReadText: ...
    @overload
    async def open(self, job: str, mode: Literal["rb"]) -> ObjectReader: ...
    @overload
    async def open(self, job: str, mode: Literal["w"]) -> AWriteText: ...
    @overload
    async def open(self, job: str, mode: Literal["wb"]) -> ObjectWriter: ...
    async def open(self, job: str, mode: BlobMode = "r") -> Any:
        self.check_job_id(job)
        check_mode(mode)
        ref = self._ref(job)
        if mode in ("r", "rb"):
            source = await ObjectReader.open(ref)
            return AReadText(source, chunksize=_TEXT_CHUNK_BYTES) if mode == "r" else source
        target = ObjectWriter(ref, self.mimetype, self.part_size)
        return AWriteText(target) if mode == "w" else target

    async def info(self, job: str) -> Any:
        """Return an :class:`S3BucketInfo` corresponding to the given job."""
        name = self.object_name(job)
        endpoint = self.incluster_endpoint
        return S3BucketInfo(
            endpoint=self.client.meta.endpoint_url if endpoint is None else endpoint,
            uri=f"s3://{self.bucket}/{name}",
            bucket=self.bucket,
            prefix=self.prefix,
            suffix=self.suffix,
        )

    def local_name(self, job: str) -> str:
        return f"{job}{self.suffix}".rpartition("/")[2] or super().local_name(job)

    def _describe_location(self, job: str) -> str:
        return f"s3://{self.bucket}/{self.object_name(job)}"

    async def delete(self, job: str) -> None:
        self.check_job_id(job)
        await run_to_completion(self._delete(self._ref(job)))

    async def validate(self) -> None:
        """Create the bucket if it is missing, check that it is writable, and clean up.

        Incomplete uploads that are more than a day old are aborted; their writers are presumed
        dead.

        :raises RepositoryConfigurationError: if the credentials, the permissions or the name of
            the bucket are wrong.
        """
        await self._setup().run(
            f"{self.prefix}{self._PROBE}{self.suffix}",
            lambda key: self.is_valid_job_id(self._name_of_key(key)),
        )

    async def is_missing(self) -> bool:
        return await self._setup().is_missing()

    @property
    def identity(self) -> str | None:
        """The server, bucket, prefix and suffix; None while the client's session is not open."""
        try:
            endpoint = self.client.meta.endpoint_url
        except SessionError:
            return None
        return f"s3:{endpoint}/{self.bucket}/{self.prefix}*{self.suffix}"

    @property
    def location(self) -> Location:
        from pydatatask_core.repository.location import Location

        # Some servers store objects as files; there, repeated slashes denote the same name as one.
        prefix = _SLASHES.sub("/", self.prefix).removeprefix("/")
        try:
            store = ("s3", canonical_endpoint(self.client.meta.endpoint_url), self.bucket)
        except SessionError:
            return super().location
        return Location(store, prefix, self.suffix)

    _PROBE: ClassVar[str] = ".pydatatask-probe"

    def _ref(self, job: str) -> ObjectRef:
        return ObjectRef(self, self.client, self.bucket, self.object_name(job), job)

    def _setup(self) -> BucketSetup:
        return BucketSetup(self, self.client, self.bucket, self.prefix)

    async def _pages(self) -> AsyncGenerator[list[str], None]:
        """Yield the names between prefix and suffix, one page per request."""
        options: dict[str, Any] = {"Bucket": self.bucket, "Prefix": self.prefix}
        flat = "/" not in self.CHARSET
        if flat and "/" not in self.suffix:
            options["Delimiter"] = "/"
        has_more = True
        while has_more:
            # The library's paginator would read a file in the event loop.
            with store_errors(self, "list", f"s3://{self.bucket}/{self.prefix}"):
                try:
                    page = await self.client.list_objects_v2(**options)
                except ClientError as e:
                    if is_absent(e):
                        return
                    raise
            names = (self._name_of_key(entry["Key"]) for entry in page.get("Contents", ()))
            yield [name for name in names if name and not (flat and "/" in name)]
            options["ContinuationToken"] = page.get("NextContinuationToken", "")
            has_more = bool(options["ContinuationToken"]) and page.get("IsTruncated", False)

    def _name_of_key(self, key: str) -> str:
        """Return the part of a key between prefix and suffix, or ``""`` if it lacks either."""
        start, end = len(self.prefix), len(key) - len(self.suffix)
        if key.startswith(self.prefix) and key.endswith(self.suffix):
            return key[start:end]
        return ""

    async def _delete(self, ref: ObjectRef) -> None:
        # One object per request: older servers reject bulk deletion without an MD5 digest, which
        # newer client libraries do not send.
        with ref.errors("delete"):
            try:
                await ref.client.delete_object(**ref.address)
            except ClientError as e:
                if not is_absent(e):
                    raise

    def __repr__(self) -> str:
        return f"{type(self).__name__}(..., {self.bucket!r}, {self.prefix!r}, {self.suffix!r})"
