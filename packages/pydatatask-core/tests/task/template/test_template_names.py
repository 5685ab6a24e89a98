"""Undefined names, and braces not meant for Jinja, are errors when the pipeline opens."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import TemplateError
from pydatatask_core.task import Template
from pydatatask_core.task.template import TaskTemplate

if TYPE_CHECKING:
    from pathlib import Path

SHELL = {"comment_start_string": "<#", "comment_end_string": "#>"}


async def check(source: Any, links: tuple[str, ...] = ("inp",)) -> TaskTemplate:
    template = TaskTemplate(source, "task")
    await template.check()
    template.require_known(("job", "task"), links)
    return template


@pytest.mark.parametrize(
    "source",
    [
        "{{ x }}",
        "{{ x.y | quote }}",
        "{{ x[0] }}",
        "{{ x() }}",
        "{% if x %}{% endif %}",
        "{% for y in x %}{% endfor %}",
        "{{ x | default('D') }}{{ x }}",
        "{{ job | default(x) }}",
        "{% if x is defined %}{{ x }}{% endif %}{{ x }}",
        "{% if x is defined %}{% else %}{{ x }}{% endif %}",
        "{% if x is undefined %}{{ x }}{% endif %}",
        "{% if x is defined or job %}{{ x }}{% endif %}",
        "{% if not x is defined %}{{ x }}{% endif %}",
        "{{ x if y is defined else 1 }}",
        "{% for x in inp %}{% endfor %}{{ x }}",
        "{% macro m(x) %}{{ x }}{% endmacro %}{{ x }}",
        "{% with x = 1 %}{% endwith %}{{ x }}",
        "{% block b %}{{ x }}{% endblock %}",
        "awk '{{x}}'",
    ],
)
async def test_a_name_that_can_never_be_defined_is_an_error_with_its_line(source: str) -> None:
    with pytest.raises(TemplateError, match=r"task: its template uses `x` \(line 2\), which is"):
        await check(f"{{{{ job }}}}\n{source}")


@pytest.mark.parametrize("name", ["range", "dict", "lipsum", "cycler", "joiner", "namespace"])
async def test_a_jinja_function_that_is_not_called_counts_as_undefined(name: str) -> None:
    for source in (f"{{{{ {name} }}}}", f"{{% for x in {name} %}}{{% endfor %}}"):
        with pytest.raises(TemplateError, match=f"uses `{name}` \\(line 1\\)"):
            await check(source)
        await check(source, ("inp", name))


@pytest.mark.parametrize(
    "source",
    [
        "{{ x | default('D') }}{{ x | d('D') }}",
        "{{ x is defined }}{{ x is undefined }}",
        "{% if x is defined %}{{ x }}{% endif %}",
        "{% if x is defined and x.y %}{{ x }}{% endif %}",
        "{% if x is not defined %}{% else %}{{ x }}{% endif %}",
        "{% if x is undefined %}{% elif x.y %}{{ x }}{% else %}{{ x }}{% endif %}",
        "{% if not (x is undefined or job) %}{{ x }}{% endif %}",
        "{% if x is undefined or x %}{% endif %}",
        "{{ x if x is defined else 'D' }}",
        "{% for y in [1] if x is defined %}{{ x }}{% endfor %}",
        "{% set x = x | default('D') %}{{ x }}",
        "{% if job %}{% set x = 1 %}{% endif %}{{ x }}",
        "{% set x %}text{% endset %}{{ x }}",
        "{% set x, y = 1, 2 %}{{ x }}{{ y }}",
        "{% for x in [1] %}{{ x }}{{ loop.index }}{% endfor %}",
        "{% macro x(y) %}{{ y }}{{ caller() }}{{ varargs }}{% endmacro %}{{ x(1) }}",
        "{% with x = 1 %}{{ x }}{% endwith %}",
        "{% raw %}{{ x }} ${#x} {% x %}{% endraw %}",
        "{# {{ x }} #}",
    ],
)
async def test_a_name_that_is_tested_or_set_is_not_an_error(source: str) -> None:
    await check(f"{{{{ inp }}}}{source}")


async def test_all_undefined_names_are_in_one_error() -> None:
    with pytest.raises(TemplateError) as caught:
        await check("{{ y }}\n{{ x }}\n{{ y }}\n{% if z %}{% endif %}", ("inp", "done"))
    message = str(caught.value)
    assert (
        "uses `x` (line 2), `y` (line 1), `z` (line 4), which is neither `job`, `task`" in message
    )
    assert "its links are `done`, `inp`" in message
    assert "{% raw %}" in message


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("self", "{{ self }}"),
        ("loop", "{% for x in inp %}{{ loop }}{% endfor %}"),
        ("none", "{{ none }}"),
        ("true", "{% if true %}{% endif %}"),
    ],
)
async def test_a_link_shadowed_by_a_jinja_function_is_rejected_where_it_is_used(
    name: str, source: str
) -> None:
    await check(source) if name != "self" else None
    with pytest.raises(TemplateError, match=f"uses `{name}`, which is a reserved name"):
        await check(source, ("inp", name))
    await check("{{ job }}", ("inp", name))


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (
            "\necho ${#a[@]}\nexit 3\n# ${x#}\n",
            r"line 2: in `\${#`, Jinja2 interprets `{#` as the begi",
        ),
        ("\necho ${#a} ${x#}", "line 2: .* a comment, which deletes everything up to the next"),
        ("\necho ${#a}", "line 2: .* a comment"),
        ("\necho ${{ job }}", "line 2: .* an expression, whose value follows the `\\$`"),
        ("\necho ${% if job %}{% endif %}", "line 2: .* a statement"),
        ("\n{#1}\n{x#}", "line 2: `{#1}` begins a comment, which deletes everything"),
        ("\nawk '{# n\nn++ }'", "line 2: Missing end of comment tag"),
        ("\nawk '{{print $1}}'", "line 2: unexpected char"),
        ("\nprintf '{%s}'", "line 2: "),
        ("\ndate +{%Y}", "line 2: "),
        ("\n{% include 'x' ignore missing %}", "line 2: a template is a single text"),
        ("\n{% import 'x' as x %}", "line 2: a template is a single text"),
        ("\nprintf '1\r2'", "carriage return that does not end a line, line 2"),
    ],
)
async def test_braces_not_meant_for_jinja_are_an_error_with_line_and_remedy(
    source: str, problem: str
) -> None:
    with pytest.raises(TemplateError, match=problem) as caught:
        await check(source)
    if "\r" not in source:
        assert "put it between `{% raw %}` and `{% endraw %}`" in str(caught.value)
        assert "pydatatask.Template" in str(caught.value)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{# a comment #}x{#one#}{#-\nmore\n-#}\n{#----\n----#}", "x"),
        ("{% raw %}${#a[@]}{% endraw %} ${% raw %}{#a}{% endraw %}", "${#a[@]} ${#a}"),
        ("{{ '$' ~ job }} $ {{- job }} $x{{ job }}", "$a1 $a1 $xa1"),
        ("${x%} ${x%%.*} %} }} #} {x} { {x} }", "${x%} ${x%%.*} %} }} #} {x} { {x} }"),
        (Template("${#a[@]} {{ job }}<# no #>", **SHELL), "${#a[@]} a1"),
        (
            Template("${{a}} <<job>>", variable_start_string="<<", variable_end_string=">>"),
            "${{a}} a1",
        ),
        (
            Template("{%s} [%if job%]x[%endif%]", block_start_string="[%", block_end_string="%]"),
            "{%s} x",
        ),
    ],
)
async def test_braces_meant_for_the_shell_can_be_escaped(source: Any, text: str) -> None:
    template = await check(source)
    await template.load()
    assert template.render("a1", {"job": "a1"}, []).strip() == text


async def test_a_plain_text_is_checked_with_its_own_delimiters() -> None:
    template = await check(
        Template("{{ x }}<< job >>", variable_start_string="<<", variable_end_string=">>")
    )
    assert template.names == {"job"}


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (TypeError, {"source": 5}),
        (TypeError, {"source": "", "block_start_string": None}),
        (ValueError, {"source": "", "comment_end_string": ""}),
        (ValueError, {"source": "", "comment_start_string": "{{"}),
    ],
)
def test_an_invalid_template_is_rejected_at_construction(
    error: type[Exception], arguments: dict[str, Any]
) -> None:
    with pytest.raises(error, match="template"):
        Template(**arguments)


def test_constructing_a_template_does_not_import_jinja() -> None:
    program = """
import sys, pydatatask_core
pydatatask_core.Template("x")
assert "jinja2" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# -- files, and text before `#!` -----------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "script"),
    [
        ("#!/bin/sh\nx\n", "#!/bin/sh\nx\n"),
        ("\n#!/bin/sh\nx\n", "#!/bin/sh\nx\n"),
        ("\ufeff#!/bin/sh\nx\n", "#!/bin/sh\nx\n"),
        ("\ufeff\n \n#!/bin/sh\nx\n", "#!/bin/sh\nx\n"),
        ("{# why #}\n{% set x = 1 %}\n#!/bin/sh\n{{ x }}\n", "#!/bin/sh\n1\n"),
        (
            "\n    #!/usr/bin/python3\n    if 1:\n\n        x\n  ",
            "#!/usr/bin/python3\nif 1:\n\n    x\n  ",
        ),
        ("\n    #!/bin/sh\n    cat <<E\nx\n", "#!/bin/sh\n    cat <<E\nx\n"),
        ("#!/bin/sh\r\nx\r\n", "#!/bin/sh\nx\n"),
        ("\n  x\n  #! no first line\n", "\n  x\n  #! no first line\n"),
    ],
)
async def test_text_before_a_shebang_is_removed_in_strings_and_files(
    tmp_path: Path, source: str, script: str
) -> None:
    (tmp_path / "script").write_bytes(source.encode())
    for given in (source, tmp_path / "script", str(tmp_path / "script"), Template(source)):
        template = await check(given)
        await template.load()
        assert template.render_script("a1", {}, []).decode() == script


async def test_undecodable_bytes_of_a_path_are_rendered_unchanged() -> None:
    template = await check("{{ inp }}")
    await template.load()
    assert template.render_script("a1", {"inp": "caf\udce9"}, []) == b"caf\xe9"
    with pytest.raises(TemplateError, match=r"rendered for job 'a1', contains '\\ud800'"):
        template.render_script("a1", {"inp": "\ud800"}, [])


async def test_a_directory_or_a_file_in_another_encoding_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="cannot be read: Is a directory"):
        await check(tmp_path)
    with pytest.raises(TemplateError, match="cannot be read: Is a directory"):
        await check(f"{tmp_path}/")
    (tmp_path / "t").write_bytes("#!/bin/sh\n".encode("utf-16"))
    with pytest.raises(TemplateError, match="not text in UTF-8, at byte 0"):
        await check(tmp_path / "t")
    (tmp_path / "t").write_text("\ufeff\n \n")
    with pytest.raises(TemplateError, match="/t' is empty"):
        await check(tmp_path / "t")
    (tmp_path / "t").unlink()
    with pytest.raises(TemplateError, match="cannot be read: No such file"):
        await check(tmp_path / "t")


@pytest.mark.parametrize("path", ["scripts/count.sh", "./count.sh", "../a-b/count", "scripts/"])
async def test_a_relative_path_to_a_missing_file_is_not_run_as_a_command(path: str) -> None:
    with pytest.raises(TemplateError, match="cannot be read: No such file"):
        await check(path)


@pytest.mark.parametrize("text", ["count.sh", "make", "/opt/absent/count", "./count.sh x", "a|b/c"])
async def test_a_command_is_a_script(text: str) -> None:
    template = await check(text)
    await template.load()
    assert template.render_script("a1", {}, []).decode() == text
