"""Redaction of secrets in the text of a rendered template."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import TemplateError
from pydatatask_core.task.redaction import find_secrets, redact_message
from pydatatask_core.task.template import TaskTemplate

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "Tr0ub4dor&3"
FORMS = (SECRET, SECRET.upper(), "12345679")
VALUES: dict[str, Any] = {
    "job": "job1",
    "inp": {"x": "seen"},
    "token": SECRET,
    "all": {"deep": [SECRET]},
    "pin": 12345678,
    "text": f"first {SECRET}\n  second {SECRET}\n",
}


async def _secrets(source: str) -> tuple[str, set[str]]:
    """Return a rendered template, and the texts that messages about it must not contain."""
    template = TaskTemplate(f"{source}\n", "task")
    await template.load()
    rendered = template.render("job1", VALUES, VALUES)
    return rendered, find_secrets([VALUES[name] for name in ("token", "all", "text")], rendered)


@pytest.mark.parametrize("quote", [str, repr, json.dumps])
@pytest.mark.parametrize(
    "source",
    [
        "a: {{ token }}-{{ job }}",
        "{{ token | upper | reverse }}",
        "{{ all.deep[0] }} {{ all }}",
        "{{ job ~ token }}",
        "{{ job | replace('job', token) }}",
        "{{ token if token else job }}",
        "{% set job = token %}{{ job }}",
        "{% set x %}{{ token }}{% endset %}{{ x }}",
        "{% for c in token | reverse %}{{ c }}{% endfor %}",
        "{% for c in token %}{{ c }} {% endfor %}",
        "{% with inp = all %}{{ inp }}{% endwith %}",
        "{% macro m(x) %}-{{ x }}-{% endmacro %}{{ m(token) }}",
        "{% filter upper %}a {{ token }}{% endfilter %}",
        "{% filter replace('a', token) %}a{% endfilter %}",
        "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ token }}{% endcall %}",
        "{{ token | raw }}",
        "{{ text | tojson }}",
        "{{ pin + 1 }}",
        "a: |\n  {{ text }}b: {{ job }}",
    ],
)
async def test_a_message_that_repeats_the_rendered_text_reveals_no_secret(
    source: str, quote: Callable[[str], str]
) -> None:
    rendered, secrets = await _secrets(source)
    message = redact_message(f"not valid: {quote(str.__str__(rendered))} (line 1)", secrets, source)
    assert message.startswith("not valid:")
    assert "<hidden>" in message
    assert message.endswith("(line 1)")
    for form in (
        SECRET,
        SECRET.upper(),
        SECRET[::-1],
        SECRET[::-1].upper(),
        str(VALUES["pin"] + 1),
    ):
        assert not any(form[i : i + 3] in message for i in range(len(form) - 2)), message


async def test_messages_of_other_code_reveal_no_part_of_a_secret() -> None:
    source = "a: {{ token | upper }}\nb: {{ token[:2] }}\ncontainers: x"
    _, secrets = await _secrets(source)
    message = "containers: no 'TR0UB4DOR&3', nor '...UB4DOR&3' nor 'Tr' nor Trap"
    assert redact_message(message, secrets, source) == (
        "containers: no '<hidden>', nor '...<hidden>' nor '<hidden>' nor Trap"
    )


def test_parts_of_a_secret_that_are_in_the_template_are_not_redacted() -> None:
    message = redact_message("containers are my-containers", ["my-containers"], "containers: x")
    assert message == "containers are <hidden>iners"


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
