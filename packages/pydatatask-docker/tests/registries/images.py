"""Images in a registry, pushed and inspected without pydatatask."""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import ssl
import threading
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from services.registry import RegistryServer

__all__ = ["DOCKER", "DOCKER_LIST", "OCI", "OCI_INDEX", "Images", "digest_of"]

OCI = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

ANY = ", ".join((OCI, OCI_INDEX, DOCKER, DOCKER_LIST))


def digest_of(content: bytes) -> str:
    return f"sha256:{sha256(content).hexdigest()}"


class Images:
    """The images of one repository; all methods block.

    :param server: the registry.
    :param repository: the repository.
    """

    def __init__(self, server: RegistryServer, repository: str) -> None:
        self.server = server
        self.repository = repository
        self._uploaded: set[str] = set()
        self._lock = threading.Lock()
        self._authorization = f"Basic {credentials(server)}"
        if server.tokens is not None:
            token = server.tokens.token(f"repository:{repository}:pull,push,delete")
            self._authorization = f"Bearer {token}"

    def push(self, tag: str, content: str = "same for all", kind: str = OCI) -> str:
        """Push an image without layers and return its digest.

        :param tag: its tag.
        :param content: a text that distinguishes it from other images.
        :param kind: the media type of its manifest.
        """
        config = json.dumps({"architecture": "none", "os": "none", "note": content}).encode()
        return self.put(tag, manifest(kind, self.upload(config), len(config)), kind)

    def push_index(self, tag: str, members: Iterable[str], kind: str = OCI_INDEX) -> str:
        """Push an index of existing images and return its digest.

        :param tag: its tag.
        :param members: the tags of the images.
        :param kind: the media type of the index.
        """
        of = DOCKER if kind == DOCKER_LIST else OCI
        found = [self.request("GET", f"manifests/{member}")[2] for member in members]
        platform = {"architecture": "amd64", "os": "linux"}
        entries = [
            {"mediaType": of, "digest": digest_of(body), "size": len(body), "platform": platform}
            for body in found
        ]
        index = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
        return self.put(tag, json.dumps(index).encode(), kind)

    def push_tags(self, tags: Sequence[str]) -> str:
        """Push an image, and create further tags of it in the folder of the server."""
        repositories = self.server.data / "docker" / "registry" / "v2" / "repositories"
        folder = repositories / self.repository / "_manifests" / "tags"
        digest = self.push(tags[0])
        for tag in tags[1:]:
            shutil.copytree(folder / tags[0], folder / tag, copy_function=shutil.copyfile)
        return digest

    def put(self, tag: str, body: bytes, kind: str) -> str:
        """Store a manifest under a tag and return its digest."""
        headers = {"Content-Type": kind}
        status, _, answer = self.request("PUT", f"manifests/{tag}", body, headers)
        assert status == 201, (status, answer)
        return digest_of(body)

    def upload(self, blob: bytes) -> str:
        """Upload a blob and return its digest; with a lock, as 2.8 fails on concurrent uploads."""
        digest = digest_of(blob)
        with self._lock:
            if digest not in self._uploaded:
                self._upload(blob, digest)
                self._uploaded.add(digest)
        return digest

    def _upload(self, blob: bytes, digest: str) -> None:
        status, headers, answer = self.request("POST", "blobs/uploads/")
        assert status == 202, (status, answer)
        target = headers["location"].partition("/v2/")[2].removeprefix(f"{self.repository}/")
        target += f"{'&' if '?' in target else '?'}digest={digest}"
        kind = {"Content-Type": "application/octet-stream"}
        status, _, answer = self.request("PUT", target, blob, kind)
        assert status == 201, (status, answer)

    def tags(self) -> list[str]:
        """Return the tags in the order of the server."""
        return [tag for page in self._pages() for tag in page]

    def digest(self, tag: str) -> str | None:
        """Return the digest of a tag's manifest, or None if the server does not have the tag."""
        status, headers, answer = self.request("HEAD", f"manifests/{tag}")
        assert status in (200, 404), (status, answer)
        return headers["docker-content-digest"] if status == 200 else None

    def request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request; return status, headers by their names in lower case, and body."""
        connection = self._connected()
        given = {"Accept": ANY, "Authorization": self._authorization, **(headers or {})}
        connection.request(method, f"/v2/{self.repository}/{target}", body, given)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        return (
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            answer,
        )

    def _pages(self) -> Iterator[list[str]]:
        target = "tags/list"
        while target:
            status, headers, answer = self.request("GET", target)
            if status == 404:
                return
            assert status == 200, (status, answer)
            found: Any = json.loads(answer)
            yield found["tags"] or []
            link = headers.get("link", "")
            target = link.partition(f"/v2/{self.repository}/")[2].partition(">")[0]

    def _connected(self) -> http.client.HTTPConnection:
        if self.server.certificate is None:
            return http.client.HTTPConnection(self.server.domain, timeout=30)
        context = ssl.create_default_context(cafile=self.server.certificate)
        return http.client.HTTPSConnection(self.server.domain, timeout=30, context=context)


def credentials(server: RegistryServer) -> str:
    """Return user and password, encoded for a header."""
    return base64.b64encode(f"{server.user}:{server.password}".encode()).decode()


def manifest(kind: str, config: str, size: int) -> bytes:
    """Return the manifest of an image without layers."""
    of = {
        OCI: "application/vnd.oci.image.config.v1+json",
        DOCKER: "application/vnd.docker.container.image.v1+json",
    }[kind]
    parts = {
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {"mediaType": of, "digest": config, "size": size},
        "layers": [],
    }
    return json.dumps(parts).encode()
