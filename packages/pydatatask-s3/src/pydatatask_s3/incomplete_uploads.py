"""The incomplete uploads of a client."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from .errors import code_of

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

__all__ = ["IncompleteUploads"]

log = logging.getLogger("pydatatask.repository")

_END_OPERATIONS = ("AbortMultipartUpload", "CompleteMultipartUpload")


class IncompleteUploads:
    """A tracker of a client's incomplete uploads, which observes its requests.

    :param client: the client; only later requests are observed.
    """

    def __init__(self, client: S3Client) -> None:
        self._client = client
        self._open: dict[str, tuple[str, str]] = {}
        events: Any = client.meta.events
        events.register("after-call.s3.CreateMultipartUpload", self._on_started)
        for operation in _END_OPERATIONS:
            events.register(f"before-parameter-build.s3.{operation}", self._before_end)
            events.register(f"after-call.s3.{operation}", self._on_ended)

    async def abort(self) -> None:
        """Abort all incomplete uploads; log a warning for each that cannot be aborted."""
        for identity, (bucket, key) in list(self._open.items()):
            try:
                await self._client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=identity)
            except (BotoCoreError, ClientError) as e:
                if code_of(e) != "NoSuchUpload":
                    log.warning(
                        "Could not abort an incomplete upload to s3://%s/%s: %s",
                        bucket,
                        key,
                        e,
                    )

    def _on_started(self, parsed: dict[str, Any], **_: Any) -> None:
        if "UploadId" in parsed:
            self._open[parsed["UploadId"]] = parsed["Bucket"], parsed["Key"]

    def _before_end(self, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["upload_id"] = params.get("UploadId")

    def _on_ended(self, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        if "Error" not in parsed or parsed["Error"].get("Code") == "NoSuchUpload":
            self._open.pop(context.get("upload_id", ""), None)
