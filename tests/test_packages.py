"""Every package is complete, and is in all lists of packages."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import pydatatask
from pydatatask_core.lazy import read_stub

ROOT = Path(__file__).parents[1]
FOLDERS = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
NAMES = [folder.name for folder in FOLDERS]
MODULES = [name.replace("-", "_") for name in NAMES]
BACKEND_NAMES = sorted(
    set(NAMES) - {"pydatatask", "pydatatask-cli", "pydatatask-core"}, key=NAMES.index
)
STUBS = sorted(
    path.relative_to(folder / "src")
    for folder in FOLDERS
    for path in folder.glob("src/**/*.pyi")
    if path.with_suffix(".py").is_file()  # otherwise only type checkers read it
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
def test_the_meta_package_and_a_module_of_it_have_every_name_of_a_backend(
    name: str,
) -> None:
    backend = importlib.import_module(name.replace("-", "_"))
    sources = read_stub(vars(pydatatask))
    documented = {each for each, source in sources.items() if source == backend.__name__}

    assert documented == set(backend.__all__)
    in_modules = {
        each
        for module, source in sources.items()
        if source == "."
        for each, package in read_stub(vars(getattr(pydatatask, module))).items()
        if package == backend.__name__
    }
    assert in_modules == documented


@pytest.mark.parametrize("stub", STUBS, ids=str)
def test_every_name_of_a_stub_exists(stub: Path) -> None:
    parts = [part for part in stub.with_suffix("").parts if part != "__init__"]
    module = importlib.import_module(".".join(parts))

    assert module.__all__
    for name in module.__all__:
        getattr(module, name)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_the_links_and_commands_of_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", text):
        assert (page.parent / target).exists(), target
    commands = re.findall(r"^  (\w+) ", (ROOT / "dev").read_text(), re.MULTILINE)
    for command in re.findall(r"\./dev ([a-z]+)", text):
        assert command in commands
