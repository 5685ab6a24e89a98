"""Every package is complete, and is in all lists of packages."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pydatatask._documented import BACKENDS

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
NAMES = [folder.name for folder in FOLDERS]
MODULES = [name.replace("-", "_") for name in NAMES]
BACKEND_NAMES = sorted(
    set(NAMES) - {"pydatatask", "pydatatask-cli", "pydatatask-core"}, key=NAMES.index
)
PAGES = sorted(
    [
        ROOT / "README.md",
        *ROOT.glob(".github/*.md"),
        *ROOT.glob("packages/*/README.md"),
    ]
)


def toml(path: str) -> Any:
    return tomllib.loads((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_a_package_has_its_licence_its_pages_and_a_type_marker(folder: Path) -> None:
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert (folder / "README.md").read_text().startswith(f"# {folder.name}\n")
    assert (folder / "CHANGELOG.md").read_text().startswith(f"# Changes of {folder.name}\n")
    assert (folder / "src" / folder.name.replace("-", "_") / "py.typed").is_file()
    project = toml(f"packages/{folder.name}/pyproject.toml")["project"]
    assert project["license"] == "BSD-2-Clause"
    assert project["license-files"] == ["LICENSE"]
    assert "Typing :: Typed" in project["classifiers"]


def test_the_environments_know_every_package() -> None:
    environments = toml("hatch.toml")["envs"]
    (matrix,) = environments["sibling"]["matrix"]
    siblings = [f"pydatatask-{name}" for name in matrix["package"]]

    assert sorted(environments["default"]["sources"]) == NAMES
    assert siblings == sorted(set(NAMES) - {"pydatatask", "pydatatask-core"})


def test_every_backend_is_an_extra_and_all_includes_each() -> None:
    extras = toml("packages/pydatatask/pyproject.toml")["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    brought = everything.removeprefix("pydatatask[").removesuffix("]").split(",")

    assert sorted(brought) == sorted(set(extras) - {"all"})
    for name in BACKEND_NAMES:
        (needed,) = extras[name.removeprefix("pydatatask-")]
        assert needed.startswith(f"{name}>=")


@pytest.mark.parametrize("name", BACKEND_NAMES)
def test_the_names_that_a_backend_exports_are_documented(name: str) -> None:
    backend = importlib.import_module(name.replace("-", "_"))
    documented = set(BACKENDS.get(name.removeprefix("pydatatask-"), ()))
    offered = set(getattr(backend, "__all__", ()))

    assert documented <= offered
    assert bool(documented) == bool(offered), f"pydatatask documents no name of {name}"


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_the_links_and_commands_of_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", text):
        assert (page.parent / target).exists(), target
    commands = re.findall(r"^  (\w+) ", (ROOT / "dev").read_text(), re.MULTILINE)
    for command in re.findall(r"\./dev ([a-z]+)", text):
        assert command in commands
