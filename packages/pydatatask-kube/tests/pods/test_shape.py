"""A value that is printed into a manifest does not change its shape."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import TemplateError
from pydatatask_core.task.template import TaskTemplate
from pydatatask_kube.manifest.pod_manifest import ManifestError, parse
from pydatatask_kube.manifest.rendered_template import RenderedTemplate

from .driven_task import TEMPLATE, Driven

if TYPE_CHECKING:
    from .api_server import ApiServer

MIN_ACCEPTED = 50
HEAD = """\
apiVersion: v1
kind: Pod
spec:
  containers:
    - name: main
      image: busybox
"""
QUOTED = '      command: [sh, -c, "factor {{ x }}"]\n'
PLAIN = "      args: [{{ x }}, {{ y }}, false]\n"
BLOCK = "      args:\n        - |\n          seq {{ x | quote }}\n"
MACRO = "{% macro port(name) %}- name: {{ name }}\n  hostPort: 80{% endmacro %}"
LINES = (
    "{% macro m(t) %}args:\n  - |\n    {{ t | indent(4) }}{% endmacro %}"
    "      {{ m(x) | indent(6) }}\n"
)
ENV = '      env: {"{{ x }}": 1, b: 2}\n'
TAKEOVER = """1"]
      securityContext: {privileged: true}
      volumeMounts: [{name: h, mountPath: /host}]
  volumes: [{name: h, hostPath: {path: /}}]
  hostPID: true
  #"""
OUT_OF_BLOCK = """1
      securityContext: {privileged: true}
  hostPID: true
  serviceAccountName: admin
  x: |2
    """


async def container(template: str, **values: Any) -> dict[str, Any]:
    """Return the container of the pod that a template gives."""
    source = TaskTemplate(HEAD + template, "task")
    await source.load()
    text = source.render("job1", {"job": "job1", "y": "y", **values}, values)
    manifest = RenderedTemplate("task", "job1", source, text).parse()
    assert manifest.keys() == {"apiVersion", "kind", "spec"}
    assert manifest["spec"].keys() == {"containers"}
    result: dict[str, Any] = manifest["spec"]["containers"][0]
    return {key: value for key, value in result.items() if key not in ("name", "image")}


@pytest.mark.parametrize(
    ("template", "x", "expected"),
    [
        (QUOTED, "1001", {"command": ["sh", "-c", "factor 1001"]}),
        (QUOTED, 1001, {"command": ["sh", "-c", "factor 1001"]}),
        (QUOTED, "it's # a: [b", {"command": ["sh", "-c", "factor it's # a: [b"]}),
        (QUOTED, r"\"a\"", {"command": ["sh", "-c", 'factor "a"']}),
        (QUOTED.replace('"', "'"), "it''s", {"command": ["sh", "-c", "factor it's"]}),
        (PLAIN, "a", {"args": ["a", "y", False]}),
        (PLAIN, 5, {"args": [5, "y", False]}),
        (PLAIN, '"a, b"', {"args": ["a, b", "y", False]}),
        (PLAIN, "yes", {"args": [True, "y", False]}),
        (BLOCK, "a b: c", {"args": ["seq 'a b: c'\n"]}),
        (
            "      args:\n        - |\n          {{ x | indent(10) }}\n",
            "a\nb: c",
            {"args": ["a\nb: c\n"]},
        ),
        ("      image2: {{ x }}:latest\n", "host:5000/a", {"image2": "host:5000/a:latest"}),
        ("      args: {{ x | tojson }}\n", ["a", {"b": "c\n'\u2028\U0001f600"}], None),
        ("      args: {{ x | tojson }}\n", '"] , hostPID: true #', None),
        ("      args: {{ x | string | tojson }}\n", 5, {"args": "5"}),
        ("      args: {{ x | tojson | safe }}\n", ["a"], None),
        ("{% set a = '{b: ' %}      env: {{ a ~ '1}' }}\n", "", {"env": {"b": 1}}),
        ('      args: ["{{ x | tojson }}"]\n', 5, {"args": ["5"]}),
        ("      # for {{ x }}\n      tty: true\n", "a: [b", {"tty": True}),
        (ENV, "a b", {"env": {"a b": 1, "b": 2}}),
        ("{% for k in x %}      {{ k }}: 1\n{% endfor %}", ["a", "b"], {"a": 1, "b": 1}),
        (
            MACRO + "      ports:\n      {{ port(x) | indent(6) }}\n",
            "a",
            {"ports": [{"name": "a", "hostPort": 80}]},
        ),
        (
            "{% filter indent(6, true) %}tty: {{ x }}\na: 1{% endfilter %}\n",
            "b",
            {"tty": "b", "a": 1},
        ),
        (
            LINES,
            "a\nb: c",
            {"args": ["a\nb: c\n"]},
        ),
        ("      env: {{ x.y | default('{}') }}\n", {}, {"env": {}}),
        ("      env: {{ x | raw }}\n", "{a: 1}", {"env": {"a": 1}}),
        ("      a: &a {{ x }}\n      b: *a\n", "c", {"a": "c", "b": "c"}),
        ("      tty: {{ x }}\n", "", {"tty": None}),
    ],
)
async def test_a_value_that_stays_where_it_is_printed_is_accepted(
    template: str, x: Any, expected: dict[str, Any] | None
) -> None:
    assert await container(template, x=x) == ({"args": x} if expected is None else expected)


@pytest.mark.parametrize(
    ("template", "x", "path"),
    [
        (QUOTED, TAKEOVER, "spec"),
        (BLOCK, OUT_OF_BLOCK, "spec"),
        (BLOCK, "1\n        - b", "spec.containers[0].args"),
        (QUOTED, 'a", "b', "spec.containers[0].command"),
        (QUOTED, '" #', None),
        (PLAIN, "a, b, true] #", "spec.containers[0].args[0]"),
        (PLAIN, "a, b", "spec.containers[0].args"),
        (PLAIN, ["a"], "spec.containers[0].args[0]"),
        (PLAIN, {"a": "b"}, "spec.containers[0].args[0]"),
        (PLAIN, "a: b", "spec.containers[0].args[0]"),
        (PLAIN, "", None),
        (PLAIN, "&anchor a", "spec.containers[0].args[0]"),
        (PLAIN, "!!binary YWE=", "spec.containers[0].args[0]"),
        (PLAIN, "*y", None),
        (PLAIN, "a #", None),
        (PLAIN, "[" * 5000, None),
        ('      args: ["{{ x | tojson }}", a]\n', ", {b: c}, ", "spec.containers[0].args"),
        ("      tty: {{ x }}\n", "true\n      stdin: true", "spec.containers[0]"),
        ("      tty: {{ x }}\n", "|\n        a", "spec.containers[0].tty"),
        ("      tty: {{ x }}\n", "a\n---\nb: c", None),
        ("      tty: {{ x }}\n", "2026-13-01", None),
        ("      tag: {{ x }}:latest\n", "other #", "spec.containers[0].tag"),
        ("      # for {{ x }}\n", "a\n      tty: true", "spec.containers[0]"),
        (
            "      user: {uid: {{ x }}, root: false}\n",
            "0, root: true} #",
            "spec.containers[0].user.uid",
        ),
        ("{% for k in x %}      {{ k }}: 1\n{% endfor %}", ["a: 1\n      b"], "spec.containers[0]"),
        (
            MACRO + "      ports:\n      {{ port(x) | indent(6) }}\n",
            "a\n  b: c",
            "spec.containers[0].ports[0]",
        ),
        ("      env: {{ (x | tojson).replace('~', '') }}\n", {"~": 1}, "spec.containers[0].env"),
        ("      env: { {{ x }}: 1}\n", "<<", None),
        (HEAD.replace("busybox", "{{ x }}"), "", None),
    ],
)
async def test_a_value_that_changes_the_shape_refuses_its_job(
    template: str, x: Any, path: str | None
) -> None:
    with pytest.raises(TemplateError) as caught:
        await container(template, x=x)
    message = str(caught.value)
    assert message.startswith("task: the manifest for job 'job1' ")
    if path is not None:
        assert f"has its shape changed by a value, at `{path}`, line " in message
        assert "print the value with `| tojson`" in message
        assert "unsafe_templates=True" in message
        assert "The value is " in message


FRAGMENTS = (
    *("a", "b: c", ": ", "\n", "\n  ", "\n      ", " #", "- ", "[", "]", "{", "}", ",", "'", '"'),
    *("\\", "&x ", "*x", "!t ", "|\n", ">", "---", "%", "hostPID: true", "\t", "\r", "\u2028"),
    *("? ", "<<", ", b: 1", "null", "1e3", " ", "\U0001f600", "\ufeff", "\\x41", "\0"),
)


async def test_whatever_a_value_is_all_else_in_the_manifest_stays() -> None:
    template = TaskTemplate(
        HEAD
        + '      args: [{{ x }}, "{{ y }}", false]\n'
        + "      # {{ x }}\n"
        + "      env: {\"{{ x }}\": {{ y | tojson }}, tty: false, {{ y }}: '{{ x }}'}\n"
        + "      script: |\n        {{ x | indent(8) }}\n",
        "task",
    )
    await template.load()
    random, accepted = Random(26), 0
    for _ in range(3000):
        x, y = ("".join(random.choices(FRAGMENTS, k=random.randint(1, 3))) for _ in range(2))
        try:
            manifest = parse(template.render("job1", {"x": x, "y": y}, []))
        except ManifestError:
            continue
        accepted += 1
        assert manifest["spec"].keys() == {"containers"}
        (main,) = manifest["spec"]["containers"]
        assert main.keys() == {"name", "image", "args", "env", "script"}
        assert (main["name"], main["image"]) == ("main", "busybox")
        assert main["args"][2:] == [False]
        assert main["env"]["tty"] is False
        assert next(iter(main["env"].values())) == y
    assert accepted > MIN_ACCEPTED


async def test_the_value_that_changes_the_shape_is_named_among_others() -> None:
    with pytest.raises(TemplateError) as caught:
        await container("      args: [{{ y }},\n        {{ x }},\n        {{ y }}]\n", x="a, b")
    assert "line 8, in `{{ x }}`; print" in str(caught.value)
    assert "The value is 'a, b'. The rendered template is" in str(caught.value)


async def test_a_task_may_print_fragments_of_yaml_if_it_says_so(server: ApiServer) -> None:
    template = TEMPLATE.replace("{{ inp }}", "{{ more }}")
    for unsafe in (False, True):
        options = {"template": template, "env": {"more": "a, b"}, "unsafe_templates": unsafe}
        driven = Driven(server, "job", **options)
        async with driven.open():
            if unsafe:
                await driven.task.launch("job")
            else:
                with pytest.raises(TemplateError, match="has its shape changed by a value"):
                    await driven.task.launch("job")
    assert server.of("job")["spec"]["containers"][0]["args"] == ["job", "a", "b"]


async def test_only_the_job_with_such_a_value_is_refused(server: ApiServer) -> None:
    driven = Driven(server, "bad", "good")
    driven.inp.data.update(bad="1] #", good="1")
    server.on_create = server.finish
    summary = await driven.run()
    assert driven.done.data.keys() == {"good"}
    assert summary.given_up == {"task": ["bad"]}


@pytest.mark.parametrize("secret", ["a, Tr0ub4dor&3", "x, y", 'Tr"0\n, ub4: d'])
async def test_a_value_of_env_that_changes_the_shape_is_not_shown(
    server: ApiServer, secret: str
) -> None:
    template = TEMPLATE.replace("{{ inp }}", "{{ token }}")
    driven = Driven(server, "job", template=template, env={"token": secret})
    async with driven.open():
        with pytest.raises(TemplateError) as caught:
            await driven.task.launch("job")
    message = str(caught.value)
    assert secret not in message
    assert repr(secret) not in message
    assert "<hidden>" in message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("spec: {containers: [{name: a}]}\nkind: Pod\nspec: {}\n", 3),
        ("spec:\n  containers:\n    - name: a\n      image: b\n      name: c\n", 5),
        ("spec: {containers: [{name: a}], x: {1: a, b: c, 1: d}}\n", 1),
    ],
)
def test_a_key_that_stands_twice_is_an_error_with_both_lines(text: str, line: int) -> None:
    with pytest.raises(ManifestError, match=r"has the key '.*' twice, first in line ") as caught:
        parse(text)
    assert caught.value.line == line


def test_a_manifest_that_is_nested_without_end_is_refused() -> None:
    text = "spec: {containers: [{name: " + "[" * 200 + "]" * 200 + "}]}"
    with pytest.raises(ManifestError, match="nested in more than 100 levels"):
        parse(text)
    parse("spec: {containers: [{name: &a [*a]}]}")
