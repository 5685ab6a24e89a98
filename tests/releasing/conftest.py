"""A new repository to release from for each test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parents[2] / ".ci"
METADATA = """
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "{version}"
requires-python = ">=3.11"
dependencies = [{dependencies}]

[tool.hatch.build.targets.wheel]
packages = ["src/{module}"]
"""
ON_CORE = '"pydatatask-core>=1.0,<2"'


class Checkout:
    """A git repository of three packages, with the operations of maintainers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "A Maintainer")
        self.git("config", "user.email", "maintainer@example.org")
        self.git("config", "commit.gpgsign", "false")
        self.write(".gitignore", "/dist/\n")
        self.package("pydatatask-core", "")
        self.package("pydatatask-s3", ON_CORE)
        self.package("pydatatask", ON_CORE)

    def git(self, *arguments: str) -> str:
        ran = subprocess.run(
            ["git", *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return ran.stdout.strip()

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", f"Write {name}")

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def package(self, name: str, dependencies: str, version: str = "1.0.0") -> None:
        module = name.replace("-", "_")
        metadata = METADATA.format(
            name=name, version=version, dependencies=dependencies, module=module
        )
        self.write(f"packages/{name}/src/{module}/__init__.py", "")
        self.write(f"packages/{name}/pyproject.toml", metadata)
        self.write(f"packages/{name}/CHANGELOG.md", f"# Changes of {name}\n")

    def fragment(self, package: str, name: str, text: str = "Something new.") -> None:
        self.write(f"packages/{package}/changes/{name}", text + "\n")

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(PROGRAMS / program), *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def state(self) -> tuple[str, str, str]:
        """Return everything that a release changes."""
        return self.git("rev-parse", "HEAD"), self.git("tag"), self.git("status", "--porcelain")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)
