from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Program

HEAD = "import pydatatask_core as p\n"


@pytest.mark.parametrize(
    ("source", "text", "told"),
    [
        ("nope.py", None, "no file nope.py"),
        ("no.such.module", None, "No module named 'no'"),
        ("a/b", None, "neither a Python file nor the name of a module"),
        (":x", None, "names no pipeline"),
        ("it.py", "x = 1\nraise NameError('oh')\n", "cannot be imported: NameError: oh (line 2)"),
        ("it.py", "def f(:\n", "cannot be imported: SyntaxError"),
        ("it.py", "import sys; sys.exit(3)", '`if __name__ == "__main__":`'),
        ("it.py", HEAD + "import pydatatask_cli as c\nc.main(p.Pipeline([]))", "__main__"),
        ("it.py", "x = 1\n", "it.py has no pipeline"),
        ("it.py:x", "x = 1\n", "'x' of it.py is not a pipeline but int"),
        ("it.py:y", HEAD + "x = p.Pipeline([])\n", "has no 'y'; its pipelines are: x"),
        ("it.py", HEAD + "a = p.Pipeline([])\nb = p.Pipeline([])\n", "`it.py:a` or `it.py:b`"),
    ],
)
def test_an_invalid_source_is_reported_in_one_sentence(
    program: Program, source: str, text: str | None, told: str
) -> None:
    if text is not None:
        (program.folder / "it.py").write_text(text)

    assert told in program.refusal("-p", source, "status", own=False)


def test_without_a_pipeline_the_error_has_the_option(program: Program) -> None:
    assert "-p FILE_OR_MODULE[:NAME]" in program.refusal("status", own=False)


@pytest.mark.parametrize("source", ["main.py", "main.py:pipeline", "main", "main:pipeline"])
def test_a_pipeline_is_loaded_from_a_file_or_module(program: Program, source: str) -> None:
    done = program.run("-p", source, "ls", "count.texts", own=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_pipeline_is_loaded_from_the_environment_variable(program: Program) -> None:
    program.put("texts/a.txt", "one")
    program.environ["PYDATATASK_PIPELINE"] = "main.py"

    done = program.run("ls", "count.texts", own=False)

    assert (done.returncode, done.stdout) == (0, "a\n")


def test_two_names_of_one_pipeline_are_not_ambiguous(program: Program) -> None:
    (program.folder / "it.py").write_text(HEAD + "a = b = p.Pipeline([])\n")

    assert program.run("-p", "it.py", "status", own=False).returncode == 0
