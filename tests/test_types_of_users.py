"""Type checkers and editors see the real classes and functions for the documented names."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import pydatatask
from pydatatask_core.lazy import read_stub

pytest.importorskip("mypy", reason="it is part of the development environment")
pytest.importorskip("pyright", reason="it is part of the development environment")
pytestmark = pytest.mark.timeout(600)  # the first run of a type checker reads everything

FILES = ("names.py", "use.py")
MODULES = sorted(name for name in dir(pydatatask) if hasattr(getattr(pydatatask, name), "__spec__"))
BEHIND = {"fuse": "pydatatask_cli.commands.fuse", "main": "pydatatask_cli"}
USE = """
import pydatatask

texts = pydatatask.FileRepository("texts", ".txt")
done = pydatatask.YamlMetadataFileRepository("done")

@pydatatask.InProcessSyncTask("count", done)
async def count(job: str, texts: pydatatask.FileRepository) -> None:
    async with await texts.open(job, "r") as text:
        words: int = await text.read()
        print(words, texts.nothing)

count.link("texts", texts, is_inputs=True)
pipeline = pydatatask.Pipeline([count])
pydatatask.main(pipeline)
pydatatask.main.main(pipeline)
pydatatask.main(texts)
pydatatask.pipelines
"""
MISTAKES = [10, 11, 13, 17, 18]


@cache
def documented() -> list[tuple[str, str]]:
    """Return pairs of each documented name and the same name in its defining package."""
    backends = {
        name: source
        for name, source in read_stub(vars(pydatatask)).items()
        if source.removeprefix("pydatatask_") not in (".", "core", "cli")
    }
    pairs = [
        (f"pydatatask.{name}", home("pydatatask_core", "pydatatask_cli", name, backends))
        for name in importlib.import_module("pydatatask").__all__
    ]
    for module in MODULES:
        behind = BEHIND.get(module, f"pydatatask_core.{module}")
        pairs += [
            (f"pydatatask.{module}.{name}", home(behind, "pydatatask_core", name, backends))
            for name in importlib.import_module(f"pydatatask.{module}").__all__
        ]
    return pairs


def home(first: str, second: str, name: str, backends: dict[str, str]) -> str:
    """Return a name in its own package: a backend, or the first of two modules that has it."""
    if name in backends:
        return f"{backends[name]}.{name}"
    return f"{first if name in importlib.import_module(first).__all__ else second}.{name}"


def names() -> str:
    """Return a program that reveals the type of both names of each pair."""
    asked = [name for pair in documented() for name in pair]
    imported = sorted({name.rpartition(".")[0] for _, name in documented()})
    lines = ["import pydatatask", *(f"import {module}" for module in imported)]
    return "\n".join(lines + [f"reveal_type({name})" for name in asked])


def mypy(folder: Path) -> dict[str, dict[int, str]]:
    """Run mypy and return its messages by file and line."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", *FILES]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    said: dict[str, dict[int, str]] = {name: {} for name in FILES}
    for name, line, message in re.findall(r"^(\S+):(\d+): \w+: (.*)$", ran.stdout, re.MULTILINE):
        said[name][int(line)] = message
    assert said[FILES[0]], ran.stdout + ran.stderr
    return said


def pyright(folder: Path) -> dict[str, dict[int, str]]:
    """Run pyright and return its messages by file and line."""
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    ran = subprocess.run(
        [*command, *FILES], cwd=folder, capture_output=True, text=True, check=False
    )
    said: dict[str, dict[int, str]] = {name: {} for name in FILES}
    for each in json.loads(ran.stdout)["generalDiagnostics"]:
        said[Path(each["file"]).name][each["range"]["start"]["line"] + 1] = each["message"]
    return said


@pytest.fixture(scope="module", params=[mypy, pyright])
def said(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[int, str]]:
    """Return the messages of a type checker about both samples."""
    folder = tmp_path_factory.mktemp("samples")
    for name, code in zip(FILES, (names(), USE), strict=True):
        (folder / name).write_text(code)
    found: dict[str, dict[int, str]] = request.param(folder)
    return found


def test_every_documented_name_has_the_type_of_its_definition(
    said: dict[str, dict[int, str]],
) -> None:
    first = len(names().splitlines()) - 2 * len(documented())
    for number, (name, origin) in enumerate(documented()):
        shown, real = (said["names.py"][first + 2 * number + offset] for offset in (1, 2))
        kind = shown.partition(" is ")[2]
        assert kind == real.partition(" is ")[2], f"{name} is {shown}, {origin} is {real}"
        assert kind.strip("'\"") not in ("Any", "Unknown", ""), f"{name}: {shown}"


def test_only_the_mistakes_of_a_user_are_reported(
    said: dict[str, dict[int, str]],
) -> None:
    assert sorted(said["use.py"]) == MISTAKES, said["use.py"]
