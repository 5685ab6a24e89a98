"""Setup of a bucket: its creation, a check that it is writable, and clean-up."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from pydatatask_core.errors import RepositoryConfigurationError, StoreError, describe

from .errors import code_of, is_absent, is_misconfigured, store_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from types_aiobotocore_s3 import S3Client

    from pydatatask_core.repository import Repository

__all__ = ["BucketSetup"]

log = logging.getLogger("pydatatask.repository")

STALE_AGE = timedelta(days=1)
"""The age at which an incomplete upload is aborted, because its writer is presumed dead."""

_NO_LOCATION = frozenset({"", "us-east-1", "aws-global"})
"""Regions that a request to create a bucket must omit ("CreateBucket", API Reference)."""


class BucketSetup:
    """The implementation of ``validate()``.

    :param repository: the repository.
    :param client: its client.
    :param bucket: the name of its bucket.
    :param prefix: the prefix of its keys.
    """

    def __init__(self, repository: Repository, client: S3Client, bucket: str, prefix: str) -> None:
        self._repository = repository
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    async def run(self, probe: str, is_own_key: Callable[[str], bool]) -> None:
        """Create the bucket if it is missing, check that it is writable, and abort old uploads.

        :param probe: the key of a test upload, which is started and aborted.
        :param is_own_key: returns whether the repository writes to a key.
        :raises RepositoryConfigurationError: if the configuration is wrong.
        :raises StoreError: if the store is unreachable or fails.
        """
        try:
            if await self.is_missing():
                await self._create()
            await self._check_writable(probe)
        except StoreError as e:
            if is_misconfigured(e):
                raise RepositoryConfigurationError(str(e)) from e.__cause__
            raise
        try:
            await self._abort_stale_uploads(lambda key: key == probe or is_own_key(key))
        except StoreError as e:
            # Incomplete uploads only cost space, and listing them needs a permission of its own.
            log.warning("%r: did not abort incomplete uploads: %s", self._repository, describe(e))

    async def is_missing(self) -> bool:
        """Return whether the bucket does not exist."""
        # A HEAD request would do, but its response has no body that explains a refusal.
        with self._errors("list"):
            try:
                await self._client.list_objects_v2(
                    Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1
                )
            except ClientError as e:
                if is_absent(e):
                    return True
                raise
        return False

    async def _create(self) -> None:
        region: Any = self._client.meta.region_name or ""
        with self._errors("create the bucket"):
            try:
                if region in _NO_LOCATION:
                    await self._client.create_bucket(Bucket=self._bucket)
                else:
                    await self._client.create_bucket(
                        Bucket=self._bucket,
                        CreateBucketConfiguration={"LocationConstraint": region},
                    )
            except ClientError as e:
                if code_of(e) != "BucketAlreadyOwnedByYou":  # created by another process meanwhile
                    raise

    async def _check_writable(self, probe: str) -> None:
        """Start and abort a test upload, which is never visible."""
        with self._errors("write"):
            answer = await self._client.create_multipart_upload(Bucket=self._bucket, Key=probe)
            await self._abort(probe, answer["UploadId"])

    async def _abort_stale_uploads(self, is_own_key: Callable[[str], bool]) -> None:
        """Abort the incomplete uploads of dead writers."""
        too_old = datetime.now(UTC) - STALE_AGE
        options: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix}
        more = True
        while more:
            with self._errors("list incomplete uploads"):
                page = await self._client.list_multipart_uploads(**options)
                for upload in page.get("Uploads", ()):
                    if upload["Initiated"] < too_old and is_own_key(upload["Key"]):
                        await self._abort(upload["Key"], upload["UploadId"])
                        log.info("%r: aborted an upload to %r", self._repository, upload["Key"])
            options["KeyMarker"] = page.get("NextKeyMarker", "")
            options["UploadIdMarker"] = page.get("NextUploadIdMarker", "")
            more = bool(options["KeyMarker"]) and page.get("IsTruncated", False)

    async def _abort(self, key: str, identity: str) -> None:
        try:
            await self._client.abort_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=identity
            )
        except ClientError as e:
            if code_of(e) != "NoSuchUpload":
                raise

    def _errors(self, action: str) -> AbstractContextManager[None]:
        return store_errors(self._repository, action, f"s3://{self._bucket}/{self._prefix}")
