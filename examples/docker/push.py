"""Create an image of a folder and push it, in pure Python: ``push.py FOLDER IMAGE``.

It replaces ``docker build`` and ``docker push``, so that the example does not need Docker. The
variable ``REGISTRY_LOGIN`` has user and password, as ``USER:PASSWORD``.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import io
import json
import os
import sys
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

OCI = "application/vnd.oci.image"


@dataclass(frozen=True)
class Part:
    """A blob or manifest to push."""

    kind: str
    content: bytes

    @property
    def digest(self) -> str:
        """The digest that identifies it in a registry."""
        return f"sha256:{sha256(self.content).hexdigest()}"

    @property
    def descriptor(self) -> dict[str, str | int]:
        """The reference to it in a manifest."""
        return {"mediaType": self.kind, "digest": self.digest, "size": len(self.content)}


def image_of(folder: Path) -> tuple[Part, Part, Part]:
    """Create an image with a folder in ``/site``: its layer, configuration and manifest."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(folder, "site")
    layer = Part(f"{OCI}.layer.v1.tar+gzip", gzip.compress(archive.getvalue(), mtime=0))
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{sha256(archive.getvalue()).hexdigest()}"]}
    platform = {"architecture": "amd64", "os": "linux"}
    config = Part(f"{OCI}.config.v1+json", json.dumps({**platform, "rootfs": rootfs}).encode())
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": config.descriptor,
        "layers": [layer.descriptor],
    }
    return layer, config, Part(f"{OCI}.manifest.v1+json", json.dumps(manifest).encode())


class Target:
    """A repository of a registry."""

    def __init__(self, protocol: str, domain: str, name: str, login: str) -> None:
        self._base = f"{protocol}://{domain}/v2/{name}/"
        self._login = base64.b64encode(login.encode()).decode()

    def upload(self, part: Part) -> None:
        """Push a blob that a manifest refers to."""
        target = self._send("POST", "blobs/uploads/")
        joint = "&" if "?" in target else "?"
        octets = "application/octet-stream"
        digest = urllib.parse.quote(part.digest)
        self._send("PUT", f"{target}{joint}digest={digest}", Part(octets, part.content))

    def tag(self, tag: str, manifest: Part) -> None:
        """Push a manifest, which makes the image visible."""
        self._send("PUT", f"manifests/{tag}", manifest)

    def _send(self, method: str, target: str, part: Part | None = None) -> str:
        url = urllib.parse.urljoin(self._base, target)
        request = urllib.request.Request(url, b"" if part is None else part.content, method=method)
        request.add_header("Authorization", f"Basic {self._login}")
        request.add_header("Content-Type", "" if part is None else part.kind)
        with urllib.request.urlopen(request) as response:
            return str(response.headers.get("Location", ""))


def main() -> int:
    """Read the command line and push."""
    parser = argparse.ArgumentParser(description="Create an image of a folder and push it.")
    parser.add_argument("folder", type=Path, help="the folder")
    parser.add_argument("image", help="the name of the image, DOMAIN/NAME:TAG")
    parser.add_argument("--http", action="store_true", help="without encryption")
    arguments = parser.parse_args()
    domain, _, rest = arguments.image.partition("/")
    name, _, tag = rest.rpartition(":")
    protocol = "http" if arguments.http else "https"
    target = Target(protocol, domain, name, os.environ.get("REGISTRY_LOGIN", ":"))
    layer, config, manifest = image_of(arguments.folder)
    try:
        target.upload(layer)
        target.upload(config)
        target.tag(tag, manifest)
    except urllib.error.URLError as error:
        print(f"{arguments.image} was not pushed: {error}", file=sys.stderr)
        return 1
    print(f"pushed {arguments.image}, {manifest.digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
