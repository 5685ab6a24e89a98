"""Images pushed by another program, skopeo."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from services.finding import unavailable

from .images import OCI, Images

if TYPE_CHECKING:
    from pathlib import Path

    from pydatatask_docker import DockerRepository


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """Return a folder in the OCI image layout, which contains an image with one layer."""
    folder = tmp_path / "layout"
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("hello"), io.BytesIO())
    layer = blob(gzip.compress(archive.getvalue()), "application/vnd.oci.image.layer.v1.tar+gzip")
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(archive.getvalue()).hexdigest()}"],
        },
    }
    kind = "application/vnd.oci.image.config.v1+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": blob(json.dumps(config).encode(), kind),
        "layers": [layer],
    }
    index = {"schemaVersion": 2, "manifests": [blob(json.dumps(manifest).encode(), OCI)]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def copy(source: str, images: Images, tag: str, *options: str) -> str:
    """Push an image with skopeo and return the digest that it prints."""
    program = shutil.which("skopeo")
    if program is None:
        unavailable("skopeo", "it is not on PATH (Debian, Ubuntu: apt-get install skopeo)")
    server = images.server
    digest_file = f"{source.removeprefix('oci:')}.digest"
    command = [
        *(program, "--insecure-policy", "copy", *options, f"--digestfile={digest_file}"),
        *("--dest-tls-verify=false", f"--dest-creds={server.user}:{server.password}"),
        *(source, f"docker://{server.domain}/{images.repository}:{tag}"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert result.returncode == 0, result.stderr
    with open(digest_file) as file:
        return file.read().strip()


@pytest.mark.parametrize("kind", ["oci", "v2s2"])
async def test_an_image_pushed_by_skopeo_is_listed_found_and_deleted(
    repo: DockerRepository, images: Images, layout: Path, kind: str
) -> None:
    digest = await asyncio.to_thread(copy, f"oci:{layout}", images, "job1", f"--format={kind}")
    again = await asyncio.to_thread(copy, f"oci:{layout}", images, "job2", f"--format={kind}")
    assert again == digest

    assert await repo.keys() == {"job1", "job2"}
    assert await repo.contains("job1")
    assert await repo.digest("job1") == digest

    await repo.delete("job1")
    assert await asyncio.to_thread(images.tags) == ["job2"]
    assert await asyncio.to_thread(images.digest, "job2") == digest
