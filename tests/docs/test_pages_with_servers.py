"""The commands and code of pages about services work as shown, with real servers."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .cluster import cluster
from .following import Reader

if TYPE_CHECKING:
    from services.mongodb import MongoServer
    from services.registry import RegistryServer
    from services.s3 import S3Server
    from services.sshd import SSHServer

HOWTO = Path(__file__).parents[2] / "docs" / "howto"

NAME = f"pydatatask-test-{uuid.uuid4().hex[:12]}"
"""A name for the objects that pages create on a server that others may use too."""

pytestmark = pytest.mark.timeout(300)


def test_the_page_about_s3_works_as_shown(s3_real: S3Server, tmp_path: Path) -> None:
    environ = {
        "BUCKET_ENDPOINT": s3_real.endpoint,
        "BUCKET_USERNAME": s3_real.user,
        "BUCKET_PASSWORD": s3_real.password,
        "HOWTO_NAME": NAME,
    }
    Reader(HOWTO / "s3.md", tmp_path, environ).follow()


def test_the_page_about_mongodb_works_as_shown(mongodb: MongoServer, tmp_path: Path) -> None:
    environ = {"MONGODB_URL": mongodb.url, "HOWTO_NAME": NAME}
    Reader(HOWTO / "mongodb.md", tmp_path, environ).follow()


def test_the_page_about_several_back_ends_works_as_shown(
    s3_real: S3Server, mongodb: MongoServer, tmp_path: Path
) -> None:
    environ = {
        "BUCKET_ENDPOINT": s3_real.endpoint,
        "BUCKET_USERNAME": s3_real.user,
        "BUCKET_PASSWORD": s3_real.password,
        "MONGODB_URL": mongodb.url,
        "EXAMPLE_NAME": NAME,
    }
    Reader(HOWTO / "mixed.md", tmp_path, environ).follow()


def test_the_page_about_registries_works_as_shown(
    registry_2: RegistryServer, tmp_path: Path
) -> None:
    environ = {
        "REGISTRY": registry_2.domain,
        "REPOSITORY": NAME,
        "REGISTRY_LOGIN": f"{registry_2.user}:{registry_2.password}",
    }
    Reader(HOWTO / "docker.md", tmp_path, environ).follow()


def test_the_page_about_ssh_works_as_shown(
    sshd: SSHServer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(
        f"""
Host build1
    HostName {sshd.host}
    Port {sshd.port}
    User {sshd.user}
    IdentityFile {sshd.folder / "key"}
    UserKnownHostsFile {sshd.folder / "known_hosts"}
"""
    )
    environ = {"REMOTE_PATH": str(tmp_path_factory.mktemp("remote"))}
    Reader(HOWTO / "ssh.md", tmp_path, environ).follow()


def test_the_page_about_kubernetes_works_as_shown(tmp_path: Path) -> None:
    reader = Reader(
        HOWTO / "kubernetes.md", tmp_path, {"NAMESPACE": "testing", "SHARED": str(tmp_path)}
    )
    with cluster(tmp_path, reader.environ) as url:
        (tmp_path / ".kube").mkdir()
        (tmp_path / ".kube" / "config").write_text(
            f"""
apiVersion: v1
kind: Config
clusters: [{{name: here, cluster: {{server: "{url}"}}}}]
users: [{{name: me, user: {{}}}}]
contexts: [{{name: here, context: {{cluster: here, user: me}}}}]
current-context: here
"""
        )
        reader.follow()
