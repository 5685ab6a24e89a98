"""Redaction of secrets in the text of a rendered template."""

from __future__ import annotations

from typing import Any

import pytest

from pydatatask_core.errors import TemplateError
from pydatatask_core.task.redaction import Redacted, redact_message
from pydatatask_core.task.template import TaskTemplate

SECRET = "Tr0ub4dor&3"
VALUES: dict[str, Any] = {
    "job": "job1",
    "inp": {"x": "seen"},
    "token": SECRET,
    "all": {"deep": [SECRET]},
    "text": f"first {SECRET}\n  second {SECRET}\n",
}


async def _masked(source: str) -> Redacted:
    template = TaskTemplate(f"{source}\n", "task")
    await template.load()
    assert template.render("job1", VALUES, VALUES)  # rendering succeeds
    return template.redacted(VALUES, {"token", "all", "text"})


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("a: {{ job }} {{ inp.x | upper }} {{ 1 + 1 }}", "a: job1 SEEN 2"),
        ("a: {{ token }}-{{ job }}", "a: <hidden>-job1"),
        ("{{ token | upper | reverse }}", "<hidden>"),
        ("{{ all.deep[0] }} {{ all }}", "<hidden> <hidden>"),
        ("{{ job ~ token }}", "<hidden>"),
        ("{{ job | replace('job', token) }}", "<hidden>"),
        ("{{ inp.x if token else job }}", "<hidden>"),
        ("{% set job = token %}{{ job }}", "<hidden>"),
        ("{% set x %}{{ token }}{% endset %}{{ x }}", "<hidden>"),
        ("{% for c in token[:2] %}{{ c }} {% endfor %}", "<hidden> <hidden> "),
        ("{% with inp = all %}{{ inp }}{% endwith %}", "<hidden>"),
        ("{% macro m(x) %}-{{ x }}-{% endmacro %}{{ m(token) }}", "<hidden>"),
        ("{% filter upper %}a {{ token }}{% endfilter %}", "A <HIDDEN>"),
        ("{% filter replace('a', token) %}a{% endfilter %}", "<hidden>"),
        ("{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ token }}{% endcall %}", ""),
        ("{% if token %}yes{% endif %}", "yes"),
        ("a: |\n  {{ text }}b: {{ job }}", "a: |\n  <hidden>\n  <hidden>\nb: job1"),
    ],
)
async def test_expressions_that_may_reveal_a_secret_are_masked_and_the_rest_is_shown(
    source: str, shown: str
) -> None:
    redacted = await _masked(source)
    assert redacted.text == (f"{shown}\n" if shown else "<hidden>")
    assert not any(SECRET[i : i + 3] in redacted.text for i in range(len(SECRET) - 2))


async def test_messages_of_other_code_reveal_no_part_of_a_secret() -> None:
    redacted = await _masked("a: {{ token | upper }}\nb: {{ token[:2] }}\ncontainers: x")
    told = redact_message(
        "containers: no 'TR0UB4DOR&3', nor '...UB4DOR&3' nor 'Tr' nor Trap", redacted
    )
    assert told == "containers: no '<hidden>', nor '...<hidden>' nor '<hidden>' nor Trap"


def test_parts_of_a_secret_that_are_public_anyway_are_not_masked() -> None:
    redacted = Redacted("containers: <hidden>", ["my-containers"])
    assert (
        redact_message("containers are my-containers", redacted) == "containers are <hidden>iners"
    )


@pytest.mark.parametrize(
    "source",
    [
        "{{ inp[token] }}",
        "{{ inp[all.deep[0]].x }}",
        "{{ token.format(job=1)[99999] }}",
        "{{ text.index('x') }}",
    ],
)
async def test_a_rendering_error_reveals_no_secret(source: str) -> None:
    template = TaskTemplate(f"\n{source}\n", "task")
    await template.load()
    with pytest.raises(TemplateError) as caught:
        template.render("job1", VALUES, VALUES, {"token", "all", "text"})
    assert "cannot be rendered for job 'job1', line 2" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
