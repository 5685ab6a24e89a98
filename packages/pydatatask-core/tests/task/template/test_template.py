"""Templates: found, read once, rendered with the names that they use, with precise errors."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import jinja2
import pytest
from jinja2 import meta

from pydatatask_core import InProcessMetadataRepository
from pydatatask_core.errors import TemplateError
from pydatatask_core.task.template import TaskTemplate, plain_names, read_values


async def render(source: Any, **values: Any) -> str:
    template = TaskTemplate(source, "task")
    await template.load()
    return template.render("job1", values, ["job", "task"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x\n{{ y }}\n", "cannot be rendered for job 'job1', line 2, in `{{ y }}`: 'y' is"),
        ("{{ job.x }}", "has no attribute 'x'; defined names: job, task"),
        ("\n\n{{ 1 / 0 }}", "line 3, in `{{ 1 / 0 }}`: division by zero"),
        ("\n{{ }}", "task: its template has a syntax error, line 2"),
        ("{% for %}", "a syntax error, line 1"),
        ("{% include 'x' %}", "line 1: a template is a single text"),
    ],
)
async def test_errors_name_their_cause(source: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        await render(source, job="job1")


@pytest.mark.parametrize(
    "source",
    [
        *("\n{{ }}", "{% for %}", "{{ a b }}", "{{ not }}", "{# x", "{{{a}}"),
        *("{{ job | absent }}", "{% if false %}{{ job | absent }}{% endif %}"),
        *("{% if job is absent %}{% endif %}", "{{ [job] | select('string') | absent }}"),
    ],
)
async def test_a_malformed_template_is_rejected_before_any_launch(source: str) -> None:
    template = TaskTemplate(source, "task")
    for _ in range(2):
        with pytest.raises(TemplateError, match="a syntax error, line"):
            await template.check()


def test_plain_text_is_recognized_exactly_as_jinja_does() -> None:
    parts = [
        "{",
        "{{ ",
        "{{- ",
        "{%",
        "{#",
        "job",
        "a.b",
        ".x",
        " | quote",
        "true",
        "not",
        " }}",
        "}",
    ]
    environment = jinja2.Environment()
    environment.filters["quote"] = str
    plain = 0
    for chosen in product(parts, repeat=5):
        text = "".join(chosen)
        names = plain_names(text)
        if names:
            plain += 1
            environment.from_string(text)
            assert names == meta.find_undeclared_variables(environment.parse(text)), text
    assert plain > 100


def test_checking_a_plain_template_does_not_import_jinja() -> None:
    program = """
import asyncio, sys
from pydatatask_core.task.template import TaskTemplate
template = TaskTemplate("#!/bin/sh\\necho {{ job }} {{ meta.name | quote }} ${HOME}\\n", "task")
asyncio.run(template.check())
assert template.names == {"job", "meta"}
assert "jinja2" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


async def test_changes_of_the_file_after_the_check_have_no_effect(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("before {{ job }}")
    template = TaskTemplate(tmp_path / "t", "task")
    await template.check()
    (tmp_path / "t").write_text("after {{ job }}")
    await template.load()
    assert template.render("job1", {"job": "job1"}, []) == "before job1"


async def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"absent\.sh' cannot be read: No such file"):
        await render(tmp_path / "absent.sh")


async def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"\xff")
    with pytest.raises(TemplateError, match="cannot be read"):
        await render(str(tmp_path / "t"))


async def test_an_error_in_a_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("\n{{ x }}")
    with pytest.raises(TemplateError, match=r"the template '.*/t' cannot .* line 2"):
        await render(tmp_path / "t")


@pytest.mark.parametrize("source", [5, None, b"bytes"])
def test_a_template_must_be_text_or_a_path(source: Any) -> None:
    with pytest.raises(TemplateError, match="a string, a path or a Template"):
        TaskTemplate(source, "task")


async def test_a_string_that_names_a_file_is_read_as_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.sh").write_bytes(b"from a file of\r\nWindows\r\n")
    assert await render("script.sh") == "from a file of\nWindows\n"
    assert await render(Path("script.sh")) == "from a file of\nWindows\n"
    assert await render("script.sh\n") == "script.sh\n"
    assert await render("other.sh") == "other.sh"
    assert await render("x" * 5000) == "x" * 5000


async def test_the_quote_filter_quotes_for_the_shell() -> None:
    assert await render("{{ a | quote }} {{ b | quote }}", a="it's", b=5) == "'it'\"'\"'s' 5"


async def test_text_is_not_escaped() -> None:
    assert await render("{{ a }}", a="<&'") == "<&'"


async def test_only_the_names_used_are_looked_up() -> None:
    class Repo(InProcessMetadataRepository):
        async def info(self, job: str) -> Any:
            asked.append(self)
            return await super().info(job)

    asked: list[Any] = []
    links = {name: Repo({"j": {"v": name}}) for name in ("one", "two", "three", "job")}
    template = TaskTemplate(
        "{{ one.v }}{% if x is defined %}{{ two.v }}{% endif %}{{ job }}", "task"
    )
    await template.load()
    values = await read_values(template, "j", links, {"job": "j", "task": "t"})
    assert template.render("j", values, []) == "onej"
    assert asked == [links["one"], links["two"]]
    assert template.names == {"one", "two", "x", "job"}
