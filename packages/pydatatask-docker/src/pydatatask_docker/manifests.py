"""The media types of manifests, and tombstones: empty manifests for the deletion of tags."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from hashlib import sha256

__all__ = ["ACCEPT", "CONFIG", "CONFIG_DIGEST", "MANIFEST_TYPE", "Tombstone", "digest_of"]

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"

ACCEPT = ", ".join(
    (
        MANIFEST_TYPE,
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.docker.distribution.manifest.v1+json",
    )
)
"""All media types of manifests; for a type that is not listed, a registry reports an absent tag."""

CONFIG = b'{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers","diff_ids":[]}}'
"""The configuration of an image without layers."""


def digest_of(content: bytes) -> str:
    """Return the digest of a manifest or blob."""
    return f"sha256:{sha256(content).hexdigest()}"


CONFIG_DIGEST = digest_of(CONFIG)


@dataclass(frozen=True)
class Tombstone:
    """A tombstone, the manifest of an empty image.

    :param body: the manifest.
    """

    body: bytes

    @classmethod
    def create(cls, label: str | None = None) -> Tombstone:
        """Create a tombstone.

        :param label: an annotation; equal marks create equal tombstones. By default it is unique.
        """
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": CONFIG_DIGEST,
                "size": len(CONFIG),
            },
            "layers": [],
            "annotations": {"pydatatask.deletion": label or uuid.uuid4().hex},
        }
        return cls(json.dumps(manifest).encode())

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return digest_of(self.body)
