"""What a tag can name, and the manifest of nothing that stands in when a tag is deleted."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from hashlib import sha256

__all__ = ["ACCEPT", "CONFIG", "CONFIG_DIGEST", "MANIFEST_TYPE", "Stone", "digest_of"]

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
"""Every kind of manifest; a registry denies a tag that names one of another kind."""

CONFIG = b'{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers","diff_ids":[]}}'
"""The configuration of an image that has no layers."""


def digest_of(content: bytes) -> str:
    """Give the digest by which a registry knows some content."""
    return f"sha256:{sha256(content).hexdigest()}"


CONFIG_DIGEST = digest_of(CONFIG)


@dataclass(frozen=True)
class Stone:
    """The manifest of an image without anything in it.

    :param body: the manifest.
    """

    body: bytes

    @classmethod
    def made(cls, mark: str | None = None) -> Stone:
        """Make one that is like no other.

        :param mark: what it is marked with; always the same makes always the same.
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
            "annotations": {"pydatatask.deletion": mark or uuid.uuid4().hex},
        }
        return cls(json.dumps(manifest).encode())

    @property
    def digest(self) -> str:
        """What a registry knows it by."""
        return digest_of(self.body)
