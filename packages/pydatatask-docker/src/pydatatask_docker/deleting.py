"""Deletion of one tag, and of no other tag of the same manifest.

A registry that implements OCI specification 1.1 deletes single tags. Older registries delete only
manifests, together with all tags that refer to them, or nothing. There, the tag is moved to a
tombstone, a manifest without other tags, and the tombstone is deleted.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from .answer import Refusal, url_in
from .authorization import WRITE
from .manifests import CONFIG, CONFIG_DIGEST, MANIFEST_TYPE, Stone, digest_of

if TYPE_CHECKING:
    from yarl import URL

    from .answer import Answer
    from .registry import Registry

__all__ = ["Deleter", "DeletionRefused", "TagLost", "digest_in"]

_UNSUPPORTED = frozenset({400, 404, 405, 501})
"""The statuses of registries that do not support deletion by this kind of reference."""

ATTEMPTS = 4
"""The maximum number of attempts to move a tag to its tombstone and delete the tombstone."""

_PROBE = Stone.made("probe")


class DeletionRefused(Exception):
    """The registry does not support deletion; the tag is unchanged.

    :param refusal: the response.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(
            "the registry deletes neither tags nor manifests, and the tag is unchanged; enable "
            "deletion in the registry (storage.delete.enabled in the configuration of "
            f"distribution), or delete the tag with the registry's own tools: {refusal}"
        )


class TagLost(Exception):
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
            answer = await self._send("DELETE", f"manifests/{tag}")
            if answer.succeeded:
                return
            if answer.status not in _UNSUPPORTED:
                raise Refusal(answer)
            # The registry may have looked for a manifest with that digest, so a 404 response does
            # not prove that the tag is absent.
            self._by_tag = answer.is_absence
        # distribution 2.8 fails on concurrent uploads and deletions.
        async with self._lock:
            await self._delete_by_moving(tag)

    async def _delete_by_moving(self, tag: str) -> None:
        original = await self._manifest(tag)
        if original is None and (self._by_tag or not await self._is_listed(tag)):
            return
        await self._prepare()
        stone = Stone.made()
        try:
            await self._store_and_delete(tag, stone)
        except Exception:
            if original is not None:
                await self._restore(tag, stone, original)
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
            begun = (await self._send("POST", "blobs/uploads/")).success()
            location = url_in(begun.headers.get("Location", ""), encoded=True)
            target = begun.url.join(location).extend_query(digest=CONFIG_DIGEST)
            (await self._send("PUT", target, CONFIG, "application/octet-stream")).success()
        if not self._by_digest:
            await self._store_and_delete(_PROBE.digest, _PROBE)
            self._by_digest = True

    async def _store_and_delete(self, reference: str, stone: Stone) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            await self._put(reference, stone.body, MANIFEST_TYPE)
            answer = await self._send("DELETE", f"manifests/{stone.digest}")
            # Another process with the same probe may have deleted it first.
            if answer.succeeded or (stone is _PROBE and answer.is_absence):
                return
            # While tags are pushed, distribution 2.8 may delete the manifest but not its tag. Then
            # the tag can be deleted only after a manifest is stored under it again.
            if not (answer.is_absence or answer.is_passing) or attempt == ATTEMPTS:
                break
        self._by_digest = False
        refusal = Refusal(answer)
        if answer.status in _UNSUPPORTED:
            raise DeletionRefused(refusal) from refusal
        raise refusal

    async def _restore(self, tag: str, stone: Stone, original: Answer) -> None:
        """Move a tag back to its original manifest if it refers to the tombstone.

        :raises TagLost: if that fails.
        """
        try:
            now = await self._manifest(tag)
            if now is None or digest_of(now.body) != stone.digest:
                return
            kind = original.headers.get("Content-Type", MANIFEST_TYPE)
            await self._put(tag, original.body, kind)
        except Exception as e:
            raise TagLost(digest_in(original), e) from e

    async def _manifest(self, tag: str) -> Answer | None:
        return await self._registry.manifest("GET", tag, actions=WRITE)

    async def _put(self, reference: str, body: bytes, kind: str) -> None:
        (await self._send("PUT", f"manifests/{reference}", body, kind)).success()

    async def _send(
        self, method: str, target: str | URL, body: bytes | None = None, kind: str | None = None
    ) -> Answer:
        headers = None if kind is None else {"Content-Type": kind}
        return await self._registry.send(method, target, actions=WRITE, headers=headers, body=body)


def digest_in(answer: Answer) -> str:
    """Return the digest of the manifest in a response."""
    return answer.headers.get("Docker-Content-Digest") or digest_of(answer.body)
