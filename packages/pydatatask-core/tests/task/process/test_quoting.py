"""Values in scripts: quoted values, plain words and literals pass; others are reported."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from typing import TYPE_CHECKING, Any, get_args

import pytest

from pydatatask_core import InProcessMetadataRepository
from pydatatask_core.errors import TaskConfigurationError, TemplateError
from pydatatask_core.task.template import Quoting, TaskTemplate

if TYPE_CHECKING:
    from pathlib import Path

    from processes.lab import Lab

EVIL = "a b; $(touch PWNED) 'x"
VALUES: dict[str, Any] = {
    "job": "a",
    "x": EVIL,
    "lines": "a\ntouch PWNED",
    "empty": "",
    "word": "a-b_c.d/e:f=g@h%i+j,k",
    "number": -1.5e-9,
    "flag": True,
    "list": ["a", "$(b)"],
    "words": ["a", "b"],
    "caller": lambda caller: "$(x)",
}


async def script(source: str, quoting: Quoting = "strict") -> str:
    template = TaskTemplate(source, "task", quoting)
    await template.load()
    return template.render_script("job1", VALUES, VALUES).decode()


@pytest.mark.parametrize(
    "source",
    [
        "echo {{ x | quote }}",
        "echo {{ job }} {{ word }} {{ number }} {{ flag }} {{ words | join(' ') }}",
        "echo {{ x | raw }}",
        "echo {{ 'a b' }} {{ '-v -x' if flag else '' }} {{ none_ | default('') }}",
        "echo {{ empty or '' }} {{ empty | default('a b', true) }}",
        "{% set options = '-a -b' %}echo {{ options }} {{ options ~ ' -c' }}",
        "echo {{ '--file=' ~ (x | quote) }} {{ word ~ '.txt' }} {{ number ~ (x | quote) }}",
        "echo {{ list | map('quote') | join(' ') }} {{ [] | map('quote') | join(' ') }}",
        "{% for each in list %}echo {{ each | quote }}; {% endfor %}",
        "{% set and = joiner(' && ') %}{% for i in [1, 2] %}{{ and() }}true {{ i }}{% endfor %}",
        "{% macro m(y) %}-n {{ y | quote }}{% endmacro %}echo {{ m(x) }} {{ m(x) | indent }}",
        "{% macro m(y) %}echo {{ y }}{% endmacro %}{{ m('a b') }}",
        "{% set text %}{{ x }}{% endset %}echo {{ text | quote }}",
        "{% filter indent %}echo {{ x | quote }}\ntrue{% endfilter %}",
        "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ x | quote }}{% endcall %}",
        "# it's {{ x | quote }}\necho {{ x | quote }}",
        "cat <<'END'\nit's {{ x | quote }}\nEND\necho {{ x | quote }}",
        "cat <<-END\n\tit's\n\tEND\necho {{ x | quote }}",
        "cat <<<'it is' {{ x | quote }}",
        'echo "it\'s \\" $(echo {{ x | quote }})" {{ x | quote }}',
        "echo \"{{ word | quote }}\" '{{ word | quote }}'",
        "echo $'it\\'s' {{ x | quote }}",
        'echo "$" {{ x | quote }} "cost $\'s" {{ x | quote }}',
        'echo \\\' {{ x | quote }} "\\\\" {{ x | quote }}',
        "echo a#b' c' {{ x | quote }}",
    ],
)
async def test_a_value_that_no_shell_interprets_is_rendered(source: str) -> None:
    await script(source)


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("echo {{ x }}", "{{ x }}"),
        ("echo '{{ x }}'", "{{ x }}"),
        ("echo {{ empty }}", "{{ empty }}"),
        ("echo {{ list }}", "{{ list }}"),
        ("echo {{ list | join(' ') }}", "{{ list | join(' ') }}"),
        ("echo {{ words | join(x) }}", "{{ words | join(x) }}"),
        ("echo {{ 'a' ~ x }}", "{{ 'a' ~ x }}"),
        ("echo {{ x | tojson }}", "{{ x | tojson }}"),
        ("echo {{ none_ | default(x) }}", "{{ none_ | default(x) }}"),
        ("echo {{ (x | quote).upper() }}", "{{ (x | quote).upper() }}"),
        ("{% for each in list %}echo {{ each }};{% endfor %}", "{{ each }}"),
        ("{% macro m(y) %}{{ y }}{% endmacro %}\necho {{ m(x) }}", "{{ y }}"),
        ("{% set text %}{{ x }}{% endset %}\necho {{ text }}", "{{ x }}"),
        ("{% filter upper %}echo {{ word }} {{ x }}{% endfilter %}", "{% filter upper %}"),
        ("{% call caller() %}a{% endcall %}", "{% call caller() %}"),
    ],
)
async def test_any_other_value_is_rejected_with_its_line_and_the_remedy(
    source: str, place: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        await script(source)
    message = str(caught.value)
    assert message.startswith(
        "task: its template prints a value that the shell may interpret as code"
    )
    assert f"`{place}`" in message
    assert "`{{ ... | quote }}`" in message
    assert "The value for job 'job1' is " in message


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ('echo "{{ x | quote }}"', "double quotes"),
        ("echo '{{ x | quote }}'", "single quotes"),
        ("echo $'\\'{{ x | quote }}'", "single quotes"),
        ('echo "$(cat {{ x | quote }}) {{ x | quote }}"', "double quotes"),
        ('echo "`cat`{{ x | quote }}"', "double quotes"),
        ("echo \\{{ x | quote }}", "a backslash"),
        ("# {{ lines | quote }}", "a comment"),
        ("cat <<END\n{{ x | quote }}\nEND\n", "a here-document"),
        ("cat <<-\\END\n\t{{ lines | quote }}\n\tEND\n", "a quoted here-document"),
        ("cat <<A <<'B'\nA\n{{ lines | quote }}\nB\n", "a quoted here-document"),
    ],
)
async def test_quoting_that_has_no_effect_in_its_context_is_rejected(
    source: str, place: str
) -> None:
    with pytest.raises(TemplateError, match=f"that is quoted, but within {place}, where"):
        await script(source)


def test_no_value_is_executed_in_a_script_that_passes_the_strict_check(tmp_path: Path) -> None:
    for source in [
        "echo {{ x | quote }}",
        'echo "$(echo {{ x | quote }})" {{ lines | quote }}',
        "cat <<'END'\n{{ x | quote }}\nEND\necho {{ lines | quote }}",
        "# it's {{ x | quote }}\necho {{ '--file=' ~ (lines | quote) }}",
        "echo {{ list | map('quote') | join(' ') }} {{ [x, lines] | map('quote') | join(' ') }}",
    ]:
        subprocess.run(["bash", "-c", asyncio.run(script(source))], cwd=tmp_path, check=True)
    assert not list(tmp_path.iterdir())


async def test_a_script_in_another_language_may_render_a_literal() -> None:
    await script("#!/usr/bin/env python3\nprint({{ x | tojson }})")
    with pytest.raises(TemplateError, match=r"interpreter may run .*`\{\{ ... \| tojson \}\}`"):
        await script("#!/usr/bin/python3\nprint('{{ x }}')")
    with pytest.raises(TemplateError, match="the shell may interpret"):
        await script("#!/usr/bin/env -S bash -e\necho {{ x | tojson }}")


async def test_a_value_is_reported_once_per_task_by_default(
    caplog: pytest.LogCaptureFixture,
) -> None:
    template = TaskTemplate("true\necho {{ x }}", "task")
    await template.load()
    for job in ("a", "b"):
        assert template.render_script(job, VALUES, []).decode() == f"true\necho {EVIL}"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "line 2, in `{{ x }}`" in record.getMessage()
    assert "quoting='strict' refuses" in record.getMessage()


async def test_nothing_is_reported_if_the_check_is_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await script("echo {{ x }}", "off")
    assert not caplog.records


async def test_only_jobs_with_an_unsafe_value_are_rejected(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    await lab.add("a", "b", "c")
    task = lab.task("echo {{ names }}", quoting="strict")
    names = InProcessMetadataRepository({"a": "fine", "b": "b; c", "c": "$(c)"})
    task.link("names", names, is_input=True)
    summary = await lab.run(task)
    assert await lab.done.keys() == {"a"}
    assert summary.given_up == {"task": ["b", "c"]}
    first, *_, last = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert "because quoting is 'strict'. The value for job '" in first
    assert "'b; c'" in first or "'$(c)'" in first
    assert "2 jobs could not be launched for the same reason" in last


def test_an_unknown_check_is_rejected_and_the_valid_ones_are_named(lab: Lab) -> None:
    for quoting in get_args(Quoting):
        lab.task("true", quoting=quoting)
    with pytest.raises(TaskConfigurationError, match="'warn', 'strict' or 'off', not 'loose'"):
        lab.task("true", quoting="loose")
