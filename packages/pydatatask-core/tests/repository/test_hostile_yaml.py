"""YAML documents written to run code or to exhaust memory or time do neither."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def _bomb(first: str, more: str) -> str:
    lines = [f"a{n}: &a{n} {more.format(','.join([f'*a{n - 1}'] * 10))}" for n in range(1, 8)]
    return "\n".join([f"a0: &a0 {first}", *lines])


HOSTILE = {
    "call": "!!python/object/apply:os.system [touch pwned]",
    "name": "!!python/name:os.system",
    "new": "!!python/object/new:subprocess.Popen [[touch, pwned]]",
    "module": "!!python/module:pty",
    "aliases": _bomb("[x,x,x,x,x,x,x,x,x,x]", "[{}]"),
    "merges": _bomb("{k: v}", "{{<<: [{}]}}"),
    "self": "&a [*a]",
    "time": "x: " + ":".join(["1"] * 30_000),
    "deep": "[" * 100_000 + "]" * 100_000,
}
READER = """
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
from pydatatask_core import YamlMetadataFileRepository
from pydatatask_core.errors import MalformedValueError
try:
    asyncio.run(YamlMetadataFileRepository("m").info(sys.argv[1]))
except MalformedValueError as e:
    print("refused", f"m/{sys.argv[1]}.yaml" in str(e))
"""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_refused_at_once_and_runs_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / f"{name}.yaml").write_text(HOSTILE[name])

    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(
        [sys.executable, "-c", READER, name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before

    assert done.stdout == "refused True\n"
    assert seconds < 10
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
