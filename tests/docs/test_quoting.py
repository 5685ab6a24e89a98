"""No page, README, example or docstring shows a value in a template without its filter."""

from __future__ import annotations

import ast
import re
import shlex
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.task.template import TaskTemplate
from pydatatask_kube.manifest.pod_manifest import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("docs/**/*.md", "packages/*/README.md", "README.md", ".github/*.md")
    for path in ROOT.glob(pattern)
    if "_build" not in path.parts
)
PROGRAMS = sorted(
    path
    for pattern in ("examples/**/*", "packages/*/src/**/*.py")
    for path in ROOT.glob(pattern)
    if path.suffix in (".py", ".sh", ".yaml", ".yml", ".j2")
)
MIN_FILES = 20
EVIL = """9 </dev/null; touch PWNED; : '"]
      securityContext: {privileged: true}
  hostPID: true
  x: |2
    """
"""Ends quotes and blocks of both languages."""

SAFE = ("quote", "tojson", "raw")
_EXPRESSION = re.compile(r"\{\{(?!\{)-?(.*?)-?\}\}", re.DOTALL)
_QUOTED_WORDS = re.compile(r"\| *map\((['\"])quote\1\) *\| *join\((['\"]) \2\) *$")
_SPAN = re.compile(r"(`+)(.+?)\1", re.DOTALL)
_BLOCK = re.compile(r"^ *(`{3,}).*?^ *\1`*$", re.DOTALL | re.MULTILINE)


def unfiltered(text: str) -> Iterator[str]:
    """Iterate the expressions of a text that print a value without a filter that protects it."""
    for found in _EXPRESSION.finditer(text):
        last = found[1].rpartition("|")[2].strip()
        if last not in SAFE and _QUOTED_WORDS.search(found[1]) is None:
            yield found[0]


def spans(text: str) -> Iterator[str]:
    """Iterate the code within sentences, except what is an expression alone, which is no script."""
    for found in _SPAN.finditer(text):
        code = found[2].strip()
        if _EXPRESSION.fullmatch(code) is None:
            yield code


def templates(path: Path) -> Iterator[str]:
    """Iterate the texts of a file that may be templates."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from (found[0] for found in _BLOCK.finditer(text))
        yield from spans(_BLOCK.sub("", text))
    elif path.suffix == ".py":
        tree = ast.parse(text)
        parts = {
            id(part)
            for node in ast.walk(tree)
            if isinstance(node, ast.JoinedStr)
            for part in node.values
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and id(node) not in parts:
                yield from _in_string(node.value)
    else:
        yield text


def _in_string(value: object) -> Iterator[str]:
    """Iterate the code of a docstring, and what else may be a template."""
    if isinstance(value, str) and _EXPRESSION.fullmatch(value) is None:
        yield _SPAN.sub("", value)
        yield from spans(value)


def test_a_value_is_shown_with_the_filter_that_protects_it() -> None:
    shown = [
        f"{path.relative_to(ROOT)}: {expression}"
        for path in (*PAGES, *PROGRAMS)
        for text in templates(path)
        for expression in unfiltered(text)
    ]
    assert not shown, "write `| quote` in a script, `| tojson` in a manifest"
    assert min(len(PAGES), len(PROGRAMS)) > MIN_FILES


def test_a_value_without_a_filter_would_be_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "The key `{{ a.items }}`, and `sort {{ b }}`.\n\n"
        "```python\nx = 'sort {{ c }} {{ d|quote }}'\n```\n",
        encoding="utf-8",
    )
    program = tmp_path / "main.py"
    program.write_text('"""Use ``cat {{ e }}``, or::\n\n    cat {{ f }}\n"""\n', encoding="utf-8")
    shown = [each for path in (page, program) for t in templates(path) for each in unfiltered(t)]
    assert sorted(shown) == ["{{ b }}", "{{ c }}", "{{ e }}", "{{ f }}"]


async def test_no_value_gets_out_of_the_script_of_the_guide() -> None:
    page = (ROOT / "docs" / "howto" / "processes.md").read_text(encoding="utf-8")
    source = re.findall(r'template="""\\\n(.*?)"""', page, re.DOTALL)[0]
    template = TaskTemplate(source, "pack", "strict")
    await template.load()
    values = {"job": "tune", "songs": f"/songs/{EVIL}", "level": {"value": EVIL}}
    script = template.render_script("tune", values, values).decode()
    assert f"gzip -{shlex.quote(EVIL)} < " in script


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("docs/howto/kubernetes.md", r'"""\n(    apiVersion.*?)"""'),
        ("packages/pydatatask-kube/README.md", r'"""\n(    apiVersion.*?)"""'),
        ("examples/kube/main.py", r'"""\\\n(apiVersion.*?)"""'),
    ],
)
async def test_no_value_gets_out_of_the_manifests_of_the_guide_and_the_example(
    path: str, pattern: str
) -> None:
    values: dict[str, Any] = {"job": EVIL, "task": EVIL, "argv0": EVIL, "image": EVIL}
    values |= {"numbers": {"value": EVIL}, "ranges": {"first": EVIL, "last": 5}}
    found = re.findall(pattern, (ROOT / path).read_text(encoding="utf-8"), re.DOTALL)
    assert found
    for source in found:
        template = TaskTemplate(textwrap.dedent(source), "task")
        await template.load()
        spec = parse(template.render("job", values, values))["spec"]
        (container,) = spec["containers"]
        assert not {"hostPID", "x"} & spec.keys()
        assert "securityContext" not in container
        assert EVIL in [*container["command"], *container.get("args", ())]
