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
    ("template", "messages", "shown"),
    [
        (_template('["{{ token }}", "{{ job }}", b: c: d'), "is not valid YAML: ", "<hidden>"),
        (_template("[{{ name }}]"), "of a value that a key of env inserted, line 7", "[<"),
        (_template("[{{ token | lower }}{{ '}' }}]"), "is not valid YAML: ", "<hidden>}]"),
        (_template("[]", kind="{{ kind }}"), "key of env inserted, line 2", "kind: <hidden>"),
        (_template("[]", cpu="{{ token }}"), "the cpu of container 'main': '<hidden>' is", "<hid"),
        (_template('["not be accepted {{ token }}"]'), 'Invalid value: "', "ted <hidden>"),
        (_template("{{ lines }}"), "env inserted, line 8", "args: <hidden>\n>   8 <hidden>"),
        (_template("[{{ {}[token] }}]"), "cannot be rendered for job 'job', line 7", "<hidden>"),
    ],
)
async def test_an_error_shows_the_template_without_the_values_of_env(
    server: ApiServer, template: str, messages: str, shown: str
) -> None:
    message = await _refusal(server, template, TemplateError)
    assert messages in message
    assert shown in message


async def test_the_rest_of_the_template_is_shown(server: ApiServer) -> None:
    message = await _refusal(server, _template('["{{ token }}", "{{ job }}", a: }'), TemplateError)
    assert f'>   7 {LINE}["<hidden>", "job", a: }}' in message
    assert "cpu: 100m" in message


async def test_the_error_for_a_full_namespace_is_redacted(server: ApiServer) -> None:
    template = _template('["{{ token }}"]')
    assert "exceeded quota: " in await _refusal(server, template, LaunchRefusedError)


async def test_a_template_that_processes_its_own_output_is_hidden_completely(
    server: ApiServer,
) -> None:
    macro = "{% macro m(x) %}-{{ x }}-{% endmacro %}"
    template = _template('["{{ {13: job}[m(token) | length] }}", }')
    message = await _refusal(server, macro + template, TemplateError)
    assert message.endswith("   1 <hidden>")
