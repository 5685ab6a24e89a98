"""The example with a registry, run as a user runs it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from services.registry import RegistryServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "docker"


@dataclass(frozen=True)
class World:
    """A registry, a repository in it, a folder for results, and USER:PASSWORD."""

    server: RegistryServer
    repository: str
    folder: Path
    login: str

    def run(self, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(EXAMPLE / program), *map(str, arguments), "--http"],
            cwd=self.folder,
            env={**os.environ, "REGISTRY_LOGIN": self.login},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    def example(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        where = ("--registry", self.server.domain, "--repository", self.repository)
        return self.run("main.py", *where, *arguments)

    @property
    def image(self) -> str:
        return f"{self.server.domain}/{self.repository}"

    def announcement(self, job: str) -> str:
        return (self.folder / "docker-output" / "announcements" / f"{job}.txt").read_text()

    def ask(self, method: str, target: str, accept: str = "*/*") -> Any:
        request = urllib.request.Request(
            f"http://{self.server.domain}/v2/{self.repository}/{target}", method=method
        )
        secret = base64.b64encode(self.login.encode()).decode()
        request.add_header("Authorization", f"Basic {secret}")
        request.add_header("Accept", accept)
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.headers["Docker-Content-Digest"], json.loads(response.read() or "null")

    def digest(self, tag: str) -> str:
        kind = "application/vnd.oci.image.manifest.v1+json"
        return str(self.ask("GET", f"manifests/{tag}", kind)[0])


@pytest.fixture
def world(registry_2: RegistryServer, tmp_path: Path) -> World:
    login = f"{registry_2.user}:{registry_2.password}"
    return World(registry_2, f"example-{uuid.uuid4().hex[:12]}", tmp_path, login)


def test_an_image_pushed_by_a_process_starts_the_next_task(world: World) -> None:
    result = world.example()

    assert result.returncode == 0, result.stdout + result.stderr
    assert "ran: build 2, announce 2\n" in result.stdout
    assert sorted(world.ask("GET", "tags/list")[1]["tags"]) == ["fruit", "tools"]
    for job in ("fruit", "tools"):
        assert world.announcement(job) == f"{world.image}@{world.digest(job)}\n"
    assert "ran: nothing new\n" in world.example().stdout


def test_a_tag_pushed_by_another_program_starts_the_task_too(world: World) -> None:
    world.example()
    site = EXAMPLE / "sites" / "fruit"
    pushed = world.run("push.py", site, f"{world.image}:bought")
    assert pushed.returncode == 0, pushed.stderr

    assert "ran: announce 1\n" in world.example().stdout

    assert world.announcement("bought") == f"{world.image}@{world.digest('bought')}\n"


def test_only_a_deleted_tag_is_built_again(world: World) -> None:
    world.example()
    world.ask("DELETE", f"manifests/{world.digest('fruit')}")

    assert "ran: build 1\n" in world.example().stdout

    assert sorted(world.ask("GET", "tags/list")[1]["tags"]) == ["fruit", "tools"]


def test_a_wrong_password_is_reported_in_one_sentence(world: World) -> None:
    result = World(world.server, world.repository, world.folder, "tester:hunter2").example()

    assert result.returncode == 2
    assert "does not accept the credentials" in result.stderr
    assert "hunter2" not in result.stderr
    assert "Traceback" not in result.stderr
