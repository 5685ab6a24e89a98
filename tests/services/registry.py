"""Image registries: distribution 2.8 as packaged by Debian, and release 3 from its Go module.

Release 2.8 deletes a manifest with all its tags and returns the whole list of tags in one response;
release 3 deletes single tags and returns the list in pages.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from .distribution.build import DISTRIBUTION
from .finding import free_port, unavailable, used
from .server import Program
from .tls import Identity
from .tokens import TokenServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["RegistryServer"]

USER, PASSWORD = "tester", "testing-secret"
HTPASSWD = f"{USER}:$2a$04$abcdefghijklmnopqrstuu4jz5s6V.LtFBaQAeqfo.X7KJp7nxlsC\n"

HINT_2 = "docker-registry is not on PATH (Debian, Ubuntu: apt-get install docker-registry)"
HINT_3 = (
    "it is not built (run python tests/services/distribution/build.py once; it takes some minutes)"
)


@dataclass(frozen=True)
class RegistryServer:
    """An image registry.

    :param domain: its host and port.
    :param data: the folder in which it stores its data.
    :param certificate: its TLS certificate; None if connections are not encrypted.
    :param deletes: whether deletion is enabled.
    :param deletes_tags: whether single tags can be deleted, in addition to manifests.
    :param tokens: the server that issues tokens for it; None for basic authentication.
    """

    domain: str
    data: Path
    user: str = USER
    password: str = PASSWORD
    certificate: Path | None = None
    deletes: bool = True
    deletes_tags: bool = False
    tokens: TokenServer | None = None

    @property
    def protocol(self) -> str:
        """The URL scheme."""
        return "http" if self.certificate is None else "https"


@pytest.fixture(scope="session")
def registry_2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """Yield distribution 2.8, shared by the whole run; tests use repositories of their own."""
    yield from _started(_distribution_2(), tmp_path_factory.mktemp("registry-2"))


@pytest.fixture(scope="session")
def registry_2_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """Yield distribution 2.8 with encrypted connections."""
    folder = tmp_path_factory.mktemp("registry-2-tls")
    identity = Identity.made(folder, "registry")
    yield from _started(_distribution_2(), folder, identity)


@pytest.fixture(scope="session")
def registry_2_keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """Yield distribution 2.8 with deletion disabled."""
    folder = tmp_path_factory.mktemp("registry-2-keeping")
    yield from _started(_distribution_2(), folder, deletes=False)


@pytest.fixture(scope="session")
def registry_3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """Yield release 3, with encrypted connections and tokens, shared by the whole run."""
    program = DISTRIBUTION.built
    if program is None:
        unavailable("registry of release 3", HINT_3)
    used("registry of release 3", str(program))
    folder = tmp_path_factory.mktemp("registry-3")
    identity = Identity.made(folder, "registry")
    with TokenServer(identity, USER, PASSWORD) as tokens:
        for server in _started(str(program), folder, identity, tokens):
            yield replace(server, deletes_tags=True)


def _distribution_2() -> str:
    program = shutil.which("docker-registry")
    if program is None:
        unavailable("registry", HINT_2)
    used("registry", program)
    return program


def _started(
    program: str,
    folder: Path,
    identity: Identity | None = None,
    tokens: TokenServer | None = None,
    *,
    deletes: bool = True,
) -> Iterator[RegistryServer]:
    port, data = free_port(), folder / "data"
    http: dict[str, Any] = {"addr": f"127.0.0.1:{port}", "secret": "tests"}
    if identity is not None:
        http["tls"] = {"certificate": str(identity.certificate), "key": str(identity.key)}
    (folder / "htpasswd").write_text(HTPASSWD)
    auth: dict[str, Any] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    if tokens is not None and identity is not None:
        bundle = {"rootcertbundle": str(identity.certificate), "realm": tokens.realm}
        auth = {"token": {"issuer": tokens.issuer, "service": tokens.service, **bundle}}
    configuration = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(data)},
            "delete": {"enabled": deletes},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": http,
        "auth": auth,
    }
    # JSON is valid YAML.
    (folder / "configuration.yml").write_text(json.dumps(configuration))
    command = [program, "serve", str(folder / "configuration.yml")]
    with Program(port, command, folder / "log"):
        certificate = None if identity is None else identity.certificate
        yield RegistryServer(
            f"127.0.0.1:{port}", data, certificate=certificate, deletes=deletes, tokens=tokens
        )
