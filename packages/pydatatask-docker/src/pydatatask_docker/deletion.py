"""Deletion of one tag, and of no other tag of the same manifest.

A registry that implements OCI specification 1.1 deletes single tags. Older registries delete only
manifests, together with all tags that refer to them, or nothing. There, the tag is moved to a
tombstone, a manifest without other tags, and the tombstone is deleted.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from .authorization import WRITE
from .manifests import CONFIG, CONFIG_DIGEST, MANIFEST_TYPE, Tombstone, digest_of
from .response import RequestRefused, parse_url

if TYPE_CHECKING:
    from yarl import URL

    from .registry import Registry
    from .response import RegistryResponse

__all__ = ["Deleter", "DeletionUnsupported", "TagMoved", "digest_from"]

_UNSUPPORTED = frozenset({400, 404, 405, 501})
"""The statuses of registries that do not support deletion by this kind of reference."""

MAX_DELETE_ATTEMPTS = 4
"""The maximum number of attempts to move a tag to its tombstone and delete the tombstone."""

_PROBE = Tombstone.create("probe")


class DeletionUnsupported(Exception):
    """The registry does not support deletion; the tag is unchanged.

    :param refusal: the response.
    """

    def __init__(self, refusal: RequestRefused) -> None:
        super().__init__(
            "the registry deletes neither tags nor manifests, and the tag is unchanged; enable "
            "deletion in the registry (storage.delete.enabled in the configuration of "
            f"distribution), or delete the tag with the registry's own tools: {refusal}"
        )


class TagMoved(Exception):
    """A tag was moved and could be neither deleted nor moved back.

    :param digest: the digest of its original manifest.
    :param cause: the error when moving it back.
    """

    def __init__(self, digest: str, cause: Exception) -> None:
        super().__init__(
            "the registry failed during the deletion; the tag may now refer to an empty image "
            f"instead of {digest}: {cause}"
        )


class Deleter:
    """Deletion of tags, which remembers the kinds of deletion that the registry supports.

    :param registry: the registry.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._by_tag = True
        self._by_digest = False
        self._lock = asyncio.Lock()

    async def delete(self, tag: str) -> None:
        """Delete a tag if it exists.

        :param tag: the tag.
        :raises DeletionRefused: if the registry does not support deletion.
        :raises TagLost: if the deletion failed midway, so that the tag refers to another image.
        :raises Refusal: if the registry rejects a request, for example for lack of permission.
        """
        if self._by_tag:
            response = await self._send("DELETE", f"manifests/{tag}")
            if response.succeeded:
                return
            if response.status not in _UNSUPPORTED:
                raise RequestRefused(response)
            # The registry may have looked for a manifest with that digest, so a 404 response does
            # not prove that the tag is absent.
            self._by_tag = response.is_not_found
        # distribution 2.8 fails on concurrent uploads and deletions.
        async with self._lock:
            await self._delete_via_tombstone(tag)

    async def _delete_via_tombstone(self, tag: str) -> None:
        original = await self._manifest(tag)
        if original is None and (self._by_tag or not await self._is_listed(tag)):
            return
        await self._prepare()
        tombstone = Tombstone.create()
        try:
            await self._push_and_delete(tag, tombstone)
        except Exception:
            if original is not None:
                await self._restore(tag, tombstone, original)
            raise

    async def _is_listed(self, tag: str) -> bool:
        """Return whether a tag is listed.

        It may lack a manifest: distribution 2.8 leaves such tags when a deletion fails midway.
        """
        async with aclosing(self._registry.pages()) as pages:
            async for page in pages:
                if tag in page:
                    return True
        return False

    async def _prepare(self) -> None:
        """Upload the configuration of tombstones, and check once that manifests can be deleted."""
        if not (await self._send("HEAD", f"blobs/{CONFIG_DIGEST}")).succeeded:
            begun = (await self._send("POST", "blobs/uploads/")).raise_for_refusal()
            location = parse_url(begun.headers.get("Location", ""), encoded=True)
            target = begun.url.join(location).extend_query(digest=CONFIG_DIGEST)
            (
                await self._send("PUT", target, CONFIG, "application/octet-stream")
            ).raise_for_refusal()
        if not self._by_digest:
            await self._push_and_delete(_PROBE.digest, _PROBE)
            self._by_digest = True

    async def _push_and_delete(self, reference: str, tombstone: Tombstone) -> None:
        for attempt in range(1, MAX_DELETE_ATTEMPTS + 1):
            await self._put(reference, tombstone.body, MANIFEST_TYPE)
            response = await self._send("DELETE", f"manifests/{tombstone.digest}")
            # Another process with the same probe may have deleted it first.
            if response.succeeded or (tombstone is _PROBE and response.is_not_found):
                return
            # While tags are pushed, distribution 2.8 may delete the manifest but not its tag. Then
            # the tag can be deleted only after a manifest is stored under it again.
            if (
                not (response.is_not_found or response.is_transient)
                or attempt == MAX_DELETE_ATTEMPTS
            ):
                break
        self._by_digest = False
        refusal = RequestRefused(response)
        if response.status in _UNSUPPORTED:
            raise DeletionUnsupported(refusal) from refusal
        raise refusal

    async def _restore(self, tag: str, tombstone: Tombstone, original: RegistryResponse) -> None:
        """Move a tag back to its original manifest if it refers to the tombstone.

        :raises TagLost: if that fails.
        """
        try:
            current = await self._manifest(tag)
            if current is None or digest_of(current.body) != tombstone.digest:
                return
            kind = original.headers.get("Content-Type", MANIFEST_TYPE)
            await self._put(tag, original.body, kind)
        except Exception as e:
            raise TagMoved(digest_from(original), e) from e

    async def _manifest(self, tag: str) -> RegistryResponse | None:
        return await self._registry.manifest("GET", tag, actions=WRITE)

    async def _put(self, reference: str, body: bytes, kind: str) -> None:
        (await self._send("PUT", f"manifests/{reference}", body, kind)).raise_for_refusal()

    async def _send(
        self, method: str, target: str | URL, body: bytes | None = None, kind: str | None = None
    ) -> RegistryResponse:
        headers = None if kind is None else {"Content-Type": kind}
        return await self._registry.send(method, target, actions=WRITE, headers=headers, body=body)


def digest_from(response: RegistryResponse) -> str:
    """Return the digest of the manifest in a response."""
    return response.headers.get("Docker-Content-Digest") or digest_of(response.body)
