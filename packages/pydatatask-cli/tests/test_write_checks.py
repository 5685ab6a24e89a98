"""A command that exits with 0 has made the requested change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Program

SCRIPT = """
import pydatatask_cli
from pydatatask_core import *

texts = FileRepository("data/texts")
ids = YamlMetadataFileRepository("data/ids")
done = YamlMetadataFileRepository("data/done")
memory = InProcessMetadataRepository({"a": 1})

async def body(job):
    pass

task = InProcessSyncTask("t", done, func=body)
task.link("texts", texts, is_input=True)
task.link("view", VIEW, **LINK)
task.link("memory", memory)
task.link("after", YamlMetadataFileRepository("data/after"))
if __name__ == "__main__":
    pydatatask_cli.main(Pipeline([task]))
"""

READ_ONLY = {
    "map": "texts.map(len)",
    "map of a map": "texts.map(len).map(len, allow_deletes=True)",
    "or": "texts.map(len) | ids",
    "and": "ids & texts.map(len)",
    "minus": "texts.map(len) - ids",
    "translation": "RelatedItemRepository(texts, ids)",
}


def write(program: Program, view: str = "texts.map(len)", link: str = "{}") -> None:
    program.script.write_text(SCRIPT.replace("VIEW", view).replace("LINK", link))
    program.put("texts/a", "text")
    program.put("ids/a.yaml", "a")


@pytest.mark.parametrize("view", READ_ONLY.values(), ids=READ_ONLY)
@pytest.mark.parametrize("words", [["rm"], ["rm", "-r"], ["rm", "-n"]], ids=" ".join)
def test_rm_through_a_view_without_allow_deletes_is_refused(
    program: Program, view: str, words: list[str]
) -> None:
    write(program, view)

    told = program.refusal(*words, "t.view", "a")

    assert "nothing can be deleted from t.view: it " in told
    assert "allow_deletes=True" in told
    assert program.output("ls", "t.texts") == "a\n"
    assert (program.folder / "data/ids/a.yaml").exists()


@pytest.mark.parametrize(
    "view",
    [
        "texts.map(len, allow_deletes=True)",
        "texts | ids.map(len, allow_deletes=True)",
        "texts - done.map(len)",
        "RelatedItemRepository(texts, ids, allow_deletes=True)",
    ],
)
def test_rm_through_a_view_with_allow_deletes_deletes(program: Program, view: str) -> None:
    write(program, view)

    program.output("rm", "t.view", "a")

    assert program.output("ls", "t.texts") == program.output("ls", "t.view") == ""


def test_retry_through_a_view_without_allow_deletes_is_refused(program: Program) -> None:
    write(program, link="{'is_output': True, 'inhibits_start': True}")
    program.put("done/a.yaml", "{success: false}")

    for words in (["a"], ["--failed"]):
        assert "nothing can be deleted from t.view" in program.refusal("retry", "t", *words)
    assert program.output("ls", "t.done") == "a\n"


@pytest.mark.parametrize("words", [["inject", "t.memory", "b"], ["rm", "t.memory", "a"]])
def test_a_change_of_a_repository_in_memory_is_refused(program: Program, words: list[str]) -> None:
    write(program)

    assert "t.memory is in the memory of this process" in program.refusal(*words)
