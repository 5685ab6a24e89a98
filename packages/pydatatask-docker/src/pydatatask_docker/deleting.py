"""Deleting one tag, and no other that names the same manifest.

A registry of the OCI's specification 1.1 deletes a tag that is named. One of age deletes manifests
only, with every tag that names them, or nothing at all. There the tag is moved to a manifest that
nothing else names, and that one is deleted.
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
"""How registries answer that do not delete what is named in this way."""

ATTEMPTS = 4
"""How often to move a tag out of the way where the registry fails to delete it there."""

_PROBE = Stone.made("probe")


class DeletionRefused(Exception):
    """A registry does not delete; the tag names what it did before.

    :param refusal: what it said.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(
            "the registry deletes neither tags nor manifests, and the tag is as it was; allow "
            "deletion there (storage.delete.enabled in the configuration of distribution), or "
            f"use the registry's own means: {refusal}"
        )


class TagLost(Exception):
    """A tag was moved, and could be neither deleted nor moved back.

    :param digest: what it named.
    :param cause: why it could not be moved back.
    """

    def __init__(self, digest: str, cause: Exception) -> None:
        super().__init__(
            "the registry took the tag for deletion and then failed; it may now name an empty "
            f"image instead of {digest}: {cause}"
        )


class Deleter:
    """Deletes tags of a repository, and learns which way the registry has.

    :param registry: the registry.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._by_tag = True
        self._by_digest = False
        self._lock = asyncio.Lock()

    async def delete(self, tag: str) -> None:
        """Delete a tag, if it is there.

        :param tag: the tag.
        :raises DeletionRefused: if the registry does not delete.
        :raises TagLost: if it failed in the middle, so that the tag names something else.
        :raises Refusal: if it does not let us.
        """
        if self._by_tag:
            answer = await self._send("DELETE", f"manifests/{tag}")
            if answer.succeeded:
                return
            if answer.status not in _UNSUPPORTED:
                raise Refusal(answer)
            # It may have looked for a manifest of that name, so absence proves nothing yet.
            self._by_tag = answer.is_absence
        # What is uploaded or deleted by several at once, 2.8 loses its way in.
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
        """Look for a tag that names nothing, which 2.8 leaves where a deletion fails half-way."""
        async with aclosing(self._registry.pages()) as pages:
            async for page in pages:
                if tag in page:
                    return True
        return False

    async def _prepare(self) -> None:
        """Upload what every stone refers to, and see once whether manifests are deleted at all."""
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
            # Of those who try out whether it is possible, somebody else may have been faster.
            if answer.succeeded or (stone is _PROBE and answer.is_absence):
                return
            # 2.8 stumbles over tags that are just being pushed, with the manifest deleted and its
            # tag not; only another manifest under the tag lets it be deleted.
            if not (answer.is_absence or answer.is_passing) or attempt == ATTEMPTS:
                break
        self._by_digest = False
        refusal = Refusal(answer)
        if answer.status in _UNSUPPORTED:
            raise DeletionRefused(refusal) from refusal
        raise refusal

    async def _restore(self, tag: str, stone: Stone, original: Answer) -> None:
        """Let a tag name again what it did, if it names the stone."""
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
    """Give the digest of the manifest in an answer."""
    return answer.headers.get("Docker-Content-Digest") or digest_of(answer.body)
