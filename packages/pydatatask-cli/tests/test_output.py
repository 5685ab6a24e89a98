"""Output works in any encoding, and `--json` prints valid JSON for any value."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_cli import main
from pydatatask_cli.output import json_text
from pydatatask_core import Pipeline
from pydatatask_core.errors import PipelineError

if TYPE_CHECKING:
    from conftest import Program

HOT = "40 \u2103 \U0001f525 \xe9"


def _parse(text: str) -> Any:
    return json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))


@pytest.fixture(params=["iso8859-1", "ascii", "ascii:surrogateescape", "utf-8"])
def encoded(program: Program, request: pytest.FixtureRequest) -> Program:
    """Run a pipeline whose job ``a`` fails with characters that some encodings lack."""
    program.script.write_text(
        f"""
import pydatatask_core
from pydatatask_cli import main


@pydatatask_core.InProcessSyncTask("t", pydatatask_core.YamlMetadataFileRepository("data/done"))
async def t(job, inp):
    raise ValueError({HOT!r} + job)


t.link("inp", pydatatask_core.FileRepository("data/inp"), is_input=True)
main(pydatatask_core.Pipeline([t]))
"""
    )
    program.put("inp/a")
    program.put("inp/b")
    program.output("run", "--ok-failures")
    program.environ["PYTHONIOENCODING"] = request.param
    return program


def test_a_character_that_the_encoding_lacks_is_escaped(encoded: Program) -> None:
    done = subprocess.run(
        encoded.command("failed"),
        cwd=encoded.folder,
        env=encoded.environment,
        capture_output=True,
        check=True,
        timeout=50,
    )
    assert done.stderr == b""
    lines = [line[:4] for line in done.stdout.splitlines() if line[:2] == b"t "]
    assert lines == [b"t a ", b"t b "]


def test_json_is_valid_in_any_encoding(encoded: Program) -> None:
    failed = _parse(encoded.output("failed", "--json"))["failed"]
    assert f"{HOT}a" in json.dumps(failed, ensure_ascii=False)


def test_numbers_that_json_lacks_are_null() -> None:
    value = {"a": [math.nan, math.inf, {"b": (-math.inf, 1.5)}], "n": 10**400}
    assert _parse(json_text(value)) == {"a": [None, None, {"b": [None, 1.5]}], "n": 10**400}
    assert _parse(json_text({math.nan: 1, 2: 3, None: 4, date(2026, 1, 2): 5, (1, 2): 6})) == {
        "nan": 1,
        "2": 3,
        "null": 4,
        "2026-01-02": 5,
        "(1, 2)": 6,
    }


def test_in_a_running_loop_the_error_has_the_alternative() -> None:
    async def notebook() -> None:
        main(Pipeline([]))

    with pytest.raises(PipelineError, match=r"`async with pipeline: await pipeline.run\(\)`"):
        asyncio.run(notebook())


@pytest.mark.parametrize("words", [("run", "--ok-failures"), ("update",)])
def test_a_reader_that_exits_early_makes_no_job_fail(program: Program, words: tuple[str]) -> None:
    program.script.write_text(
        """
import asyncio, os, sys
import pydatatask_core
from pydatatask_cli import main


@pydatatask_core.InProcessSyncTask("t", pydatatask_core.YamlMetadataFileRepository("data/done"))
async def t(job, inp):
    print("begun", flush=True)
    while not os.path.exists("go"):
        await asyncio.sleep(0.01)
    print(job * 100_000)
    print(job, file=sys.stderr, flush=True)


t.link("inp", pydatatask_core.FileRepository("data/inp"), is_input=True)
main(pydatatask_core.Pipeline([t]))
"""
    )
    for job in "abc":
        program.put(f"inp/{job}")
    running = program.start(*words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert running.stdout is not None
    with running.stdout as reader:
        while b"begun" not in reader.readline():
            assert running.poll() is None
    (program.folder / "go").touch()
    running.wait(50)
    records = program.output("cat", "t.done", "a", "--json"), program.output("ls", "t.done")
    assert _parse(records[0])["success"] is True
    assert records[1].split() == ["a", "b", "c"]
    assert program.output("failed") == ""
