"""Messages about a manifest never contain values from ``env``."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import LaunchRefusedError, TemplateError
from pydatatask_kube import PodManagerError

from .driven_task import TEMPLATE, Driven

if TYPE_CHECKING:
    from .api_server import ApiServer

SECRET = "Tr0ub4dor&3"
ENV = {"token": SECRET, "name": "*alias-Tr0ub4dor&3", "kind": SECRET, "lines": f"{SECRET}\n- x:\n"}
LINE = "      args: "


def _template(args: str, *, kind: str = "Pod", cpu: str = "100m") -> str:
    template = TEMPLATE.replace("kind: Pod", f"kind: {kind}").replace("100m", cpu)
    return template.replace('["{{ job }}", {{ inp }}]', args)


async def _refusal(server: ApiServer, template: str, error: type[Exception]) -> str:
    """Return the message of a failed launch, after a check of the whole traceback."""
    driven = Driven(server, "job", template=template, env=ENV)
    async with driven.open():
        if error is not TemplateError or "not be accepted" in template:
            driven.podman.create = _refusing(error)  # type: ignore[method-assign]
        with pytest.raises(error) as caught:
            await driven.task.launch("job")
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def _refusing(error: type[Exception]) -> Any:
    async def refuse(manifest: dict[str, Any]) -> Any:
        args = manifest["spec"]["containers"][0]["args"]
        cause, status = f'spec.containers[0].args: Invalid value: "{args}"', 422
        if error is LaunchRefusedError:
            cause, status = f"exceeded quota: {args}", 403
        raise PodManagerError("create pod", "testing", cause, status=status)

    return refuse


@pytest.mark.parametrize(
    ("template", "problem", "line"),
    [
        (_template('["{{ token }}", "{{ job }}", b: c: d'), "is not valid YAML: ", 7),
        (_template("[{{ name }}]"), "is not valid YAML: ", 7),
        (_template("[{{ token | lower }}{{ '}' }}]"), "is not valid YAML: ", 7),
        (_template("[]", kind="{{ kind }}"), "has the kind '<hidden>', but only a Pod", 2),
        (_template("[]", cpu="{{ token }}"), "the cpu of container 'main': '<hidden>' is", None),
        (
            _template('["not be accepted {{ token }}"]'),
            "Invalid value: \"['not be acce<hidden>'",
            None,
        ),
        (_template("{{ lines }}"), "is not valid YAML: ", 7),
        (_template("[{{ {}[token] }}]"), "'dict object' has no attribute '<hidden>'", 7),
    ],
)
async def test_an_error_shows_the_template_without_the_values_of_env(
    server: ApiServer, template: str, problem: str, line: int | None
) -> None:
    message = await _refusal(server, template, TemplateError)
    assert problem in message
    assert line is None or f", line {line}, in `{{{{ " in message
    if "cannot be rendered" not in message:
        shown = message.partition(". The template is:\n")[2].splitlines()
        assert [content[6:] for content in shown] == template.splitlines()
        assert [content[:6] for content in shown if content[0] == ">"] == (
            [] if line is None else [f">   {line} "]
        )


async def test_the_line_of_the_rendered_template_is_shown_if_no_value_is_in_it(
    server: ApiServer,
) -> None:
    template = _template("[{{ token }}]\n      command: [}")
    message = await _refusal(server, template, TemplateError)
    assert "is not valid YAML: did not find expected node content, line 8 of the rend" in message


async def test_the_error_for_a_full_namespace_is_redacted(server: ApiServer) -> None:
    template = _template('["{{ token }}"]')
    assert "exceeded quota: " in await _refusal(server, template, LaunchRefusedError)


async def test_a_template_that_processes_its_own_output_is_shown_without_it(
    server: ApiServer,
) -> None:
    macro = "{% macro m(x) %}-{{ x }}-{% endmacro %}"
    template = _template('["{{ {13: token}[m(token) | length] }}", }')
    message = await _refusal(server, macro + template, TemplateError)
    assert f">   7 {LINE}[" in message
