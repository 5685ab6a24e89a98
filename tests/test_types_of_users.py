"""What type checkers and editors see of the documented names: the real classes and functions."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

import pytest

import pydatatask
from pydatatask._documented import BACKENDS

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("mypy", reason="the development environment has the type checkers")
pytest.importorskip("pyright", reason="the development environment has the type checkers")

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
    """Pair each documented name with the same name where it is defined."""
    pairs = []
    for place in ("", *MODULES):
        names = importlib.import_module(f"pydatatask.{place}".rstrip(".")).__all__
        extras = {name: extra for extra, found in BACKENDS.items() for name in found}
        for name in names:
            if name in extras:
                home = f"pydatatask_{extras[name]}"
            elif place and not hasattr(pydatatask, name):
                home = BEHIND.get(place, f"pydatatask_core.{place}")
            else:
                value = getattr(pydatatask, name, None)
                core = importlib.import_module("pydatatask_core")
                home = "pydatatask_core" if getattr(core, name, None) is value else "pydatatask_cli"
            pairs.append((f"pydatatask.{place}.{name}".replace("..", "."), f"{home}.{name}"))
    return pairs


def sample() -> str:
    asked = [name for pair in documented() for name in pair]
    imported = sorted({name.rpartition(".")[0] for _, name in documented()})
    lines = ["import pydatatask", *(f"import {module}" for module in imported)]
    return "\n".join(lines + [f"reveal_type({name})" for name in asked])


def mypy(folder: Path, code: str) -> dict[int, str]:
    """Run mypy and return what it says, by the line."""
    path = folder / "sample.py"
    path.write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(path)]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = re.findall(r"^sample\.py:(\d+): \w+: (.*)$", ran.stdout, re.MULTILINE)
    assert found, ran.stdout + ran.stderr
    return {int(line): said for line, said in found}


def pyright(folder: Path, code: str) -> dict[int, str]:
    """Run pyright and return what it says, by the line."""
    path = folder / "sample.py"
    path.write_text(code)
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    ran = subprocess.run(
        [*command, str(path)], cwd=folder, capture_output=True, text=True, check=False
    )
    said = json.loads(ran.stdout)["generalDiagnostics"]
    return {each["range"]["start"]["line"] + 1: each["message"] for each in said}


CHECKERS = pytest.mark.parametrize("checker", [mypy, pyright])


@CHECKERS
@pytest.mark.timeout(600)
def test_every_documented_name_has_the_type_that_it_has_where_it_is_defined(
    tmp_path: Path, checker: object
) -> None:
    assert callable(checker)
    code = sample()

    said = checker(tmp_path, code)

    lines = code.splitlines()
    first = len(lines) - 2 * len(documented())
    for number, (name, origin) in enumerate(documented()):
        shown, real = (said[first + 2 * number + offset] for offset in (1, 2))
        kind = shown.partition(" is ")[2]
        assert kind == real.partition(" is ")[2], f"{name} is {shown}, {origin} is {real}"
        assert kind.strip("'\"") not in ("Any", "Unknown", ""), f"{name}: {shown}"


@CHECKERS
@pytest.mark.timeout(600)
def test_a_users_mistakes_are_found_and_nothing_else_is(tmp_path: Path, checker: object) -> None:
    assert callable(checker)

    said = checker(tmp_path, USE)

    assert sorted(said) == MISTAKES, said
