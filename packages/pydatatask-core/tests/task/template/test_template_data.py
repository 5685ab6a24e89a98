"""Names in a template are data: never Python attributes, Jinja functions or implicit text."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from typing import Any

import pytest

from pydatatask_core import InProcessMetadataRepository
from pydatatask_core.errors import TemplateError
from pydatatask_core.task.template import TaskTemplate, read_values


@dataclass(frozen=True)
class Address:
    """A value such as a third-party repository may return."""

    uri: str

    def __str__(self) -> str:
        return self.uri


KEYS = {"items": [1, 2], "keys": "K", "values": "V", "get": "G", "copy": "C", "n": 5}
VALUES: dict[str, Any] = {
    "job": "a1",
    "inp": {**KEYS, "none": None, "bytes": b"x", "day": datetime.date(2026, 1, 2)},
    "number": 5,
    "words": ["b", "a"],
    "address": Address("s3://bucket/a1"),
    "range": {"x": "R"},
    "rows": [{"items": 2}, {"items": 1}],
    "function": len,
    "kind": int,
    "module": math,
}


async def render(source: str) -> str:
    template = TaskTemplate(source, "task")
    await template.check()
    template.require_known(("job", "task"), VALUES.keys() - {"job"})
    await template.load()
    return template.render(
        "a1", {name: VALUES[name] for name in template.names & VALUES.keys()}, []
    )


@pytest.mark.parametrize("key", KEYS)
async def test_a_key_of_a_value_is_never_hidden_by_a_dict_method(key: str) -> None:
    for source in ("{{ inp.KEY }}", "{{ inp['KEY'] }}", "{{ inp | attr('KEY') }}"):
        assert await render(source.replace("KEY", key)) == str(KEYS[key])
    assert await render(f"{{% if inp.{key} is defined %}}{{{{ inp.{key} }}}}{{% endif %}}") == str(
        KEYS[key]
    )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ inp.pop is defined }}", "False"),
        ("{{ inp.pop | default('D') }}", "D"),
        ("{{ rows | map(attribute='items') | join(',') }}", "2,1"),
        ("{{ (rows | sort(attribute='items') | first).items }}", "1"),
        ("{{ rows | map(attribute='pop', default='D') | join(',') }}", "D,D"),
        ("{{ range }}", "{'x': 'R'}"),
        ("{{ range.x | quote }}", "R"),
        ("{{ namespace is defined }}", "False"),
        ("{{ namespace | default('D') }}", "D"),
        ("{{ dict if dict is defined else 'D' }}", "D"),
    ],
)
async def test_attributes_that_are_not_data_are_undefined(source: str, text: str) -> None:
    assert await render(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ job.upper() }} {{ job.split('1')[0] }}", "A1 a"),
        (
            "{% for key, value in inp.items() %}{{ key }} {% endfor %}",
            " ".join(VALUES["inp"]) + " ",
        ),
        ("{{ inp.get('n') }} {{ inp.get('absent', 'D') }} {{ inp.keys() | first }}", "5 D items"),
        ("{% for i in range(3) %}{{ i }}{{ loop.index }}{% endfor %}", "011223"),
        ("{% set ns = namespace(n=1) %}{% set ns.n = 2 %}{{ ns.n }}", "2"),
        ("{{ dict(a=1).a }} {{ cycler('a', 'b').next() }}", "1 a"),
        ("{% set range = inp.get %}{{ range }}", "G"),
        ("{% macro range(x) %}<{{ x }}>{% endmacro %}{{ range(1) }}", "<1>"),
        ("{% block part %}p{% endblock %}{{ self.part() }}", "pp"),
        ("{{ function(job) }} {{ module.sqrt(4) }} {{ kind('7') }}", "2 2.0 7"),
        (
            "{{ address }} {{ address.uri }} {{ address['uri'] }}",
            "s3://bucket/a1 " * 2 + "s3://bucket/a1",
        ),
        (
            "{{ inp.day }} {{ inp.day.year }} {{ inp.day.isoformat() }}",
            "2026-01-02 2026 2026-01-02",
        ),
        ("{{ words }} {{ words | sort | join(' ') }} {{ words.0 }}", "['b', 'a'] a b b"),
        ("{{ inp.bytes.decode() }} {{ inp.none or 'D' }}", "x D"),
        ("{{ inp.none | default('D', true) }}{{ '-v' if inp.n == 6 }}", "D"),
        ("{{ {'a': inp.none} }}", "{'a': None}"),
        ("{{ '%s-%03d' | format(job, number) }}", "a1-005"),
    ],
)
async def test_calls_data_and_syntax_work_as_in_jinja(source: str, text: str) -> None:
    assert await render(source) == text


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("job.upper", "has no value 'upper', but a method; call it as `upper()`"),
        ("job['upper']", "a method; call it as `upper()`"),
        ("job | attr('upper')", "a method; call it as `upper()`"),
        ("inp.pop", "'dict object' has no value 'pop', but a method"),
        ("[inp.pop]", "'dict object' has no value 'pop', but a method"),
        ("inp.pop | length", "'dict object' has no value 'pop', but a method"),
        ("'x' ~ inp.pop", "'dict object' has no value 'pop', but a method"),
        ("job.__class__", "has no attribute '__class__'"),
        ("job.__len__()", "has no attribute '__len__'"),
        ("number.real", "'int object' has no attribute 'real'"),
        ("inp.absent", "'dict object' has no attribute 'absent'"),
        ("inp.absent.more", "'dict object' has no attribute 'absent' (its keys: '"),
        ("[inp.absent]", "'dict object' has no attribute 'absent'"),
        ("inp.n()", "not callable"),
        ("function", "a builtin_function_or_method, which has no text; call it"),
        ("[{'a': function}]", "a builtin_function_or_method, which has no text"),
        ("function | quote", "a builtin_function_or_method, which has no text"),
        ("kind", "a class, which has no text"),
        ("module", "a module, which has no text"),
        ("self", "a TemplateReference, which has no text"),
        ("words | map('upper')", "a generator, which has no text"),
        ("range(3)", "a range, which has no text; `list` or `join(' ')`"),
        ("inp.keys()", "a dict_keys, which has no text; `list` or `join(' ')`"),
        ("inp.none", "the value is None"),
        ("inp.none | quote", "the value is None"),
        ("inp.none | replace('a', 'b')", "the value is None"),
        ("'x' ~ inp.none", "the value is None"),
        ("[inp.none] | join(',')", "the value is None"),
        ("'%s %s' | format(job, inp.none)", "the value is None"),
        ("rows | join(',', attribute='absent')", "has no attribute 'absent'"),
        ("inp.bytes", "the value is bytes"),
        ("inp.bytes | quote", "the value is bytes"),
    ],
)
async def test_a_value_without_a_text_form_is_rejected_and_its_expression_named(
    expression: str, problem: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        await render(f"\n{{{{ job }}}}\n{{{{ {expression} }}}}\n")
    message = str(caught.value)
    assert f"for job 'a1', line 3, in `{{{{ {expression} }}}}`: " in message
    assert problem in message


async def test_an_expression_of_several_lines_is_named() -> None:
    with pytest.raises(TemplateError, match=r"line 2, in `{{ job ~\n inp.absent }}`: "):
        await render("\n{{ job ~\n inp.absent }}\n{{ job }}")


async def test_the_value_of_an_absent_job_is_not_rendered_as_an_empty_mapping() -> None:
    class Repo(InProcessMetadataRepository):
        async def contains(self, job: str) -> bool:
            asked.append(job)
            return await super().contains(job)

        async def info(
            self, job: str
        ) -> Any:  # an empty result for an absent job, as file and server repositories return it
            return await super().info(job) or {}

    asked: list[str] = []
    links = {"note": Repo({"empty": {}, "full": {"text": "T"}})}

    async def fill(source: str, job: str) -> str:
        template = TaskTemplate(source, "task")
        await template.load()
        return template.render(job, await read_values(template, job, links, {}), [])

    assert await fill("{{ note }}", "full") == "{'text': 'T'}"
    assert asked == []
    assert await fill("{{ note }}", "empty") == "{}"
    for source in ("{{ note }}", "{{ note | quote }}", "{{ 'x' ~ note }}", "{{ note.text }}"):
        with pytest.raises(TemplateError, match="the job has no value there"):
            await fill(source, "absent")
    assert await fill("{{ note.text | default('D') }}", "absent") == "D"
    assert await fill("{{ note | default('D', true) }}", "absent") == "D"
    assert await fill("{% if not note %}D{% endif %}", "absent") == "D"
