"""Conversion of a rendered template to a pod."""

from __future__ import annotations

import pytest

from pydatatask_core.errors import TemplateError
from pydatatask_core.task.rendered import RenderedText
from pydatatask_core.task.template import TaskTemplate
from pydatatask_kube.manifest.pod_manifest import complete, parse
from pydatatask_kube.manifest.rendered_template import RenderedTemplate

TEMPLATE = TaskTemplate("{{ job }}", "mytask")
GOOD = """\
apiVersion: v1
kind: Pod
metadata:
  name: nightly
  labels: {team: blue, app: theirs}
  annotations: {cost: low}
spec:
  restartPolicy: OnFailure
  containers:
    - name: main
      image: image
"""


def test_the_fields_of_the_user_are_kept() -> None:
    pod = complete(parse(GOOD), "app", "task", "Job1", 2)
    metadata = pod["metadata"]
    assert metadata["name"].startswith("nightly-job1-")
    assert metadata["labels"] == {"team": "blue", "app": "app", "task": "task", "job": "Job1"}
    assert metadata["annotations"] == {"cost": "low", "pydatatask/attempt": "2"}
    assert pod["spec"]["restartPolicy"] == "OnFailure"


def test_missing_fields_are_added() -> None:
    pod = complete(parse("spec: {containers: [{name: c}]}"), "app", "task", "job", 1)
    assert pod["apiVersion"] == "v1"
    assert pod["kind"] == "Pod"
    assert pod["spec"]["restartPolicy"] == "Never"


def test_a_generated_name_becomes_the_beginning_of_the_name() -> None:
    text = "{metadata: {generateName: night-}, spec: {containers: [{name: c}]}}"
    metadata = complete(parse(text), "app", "task", "job", 1)["metadata"]
    assert metadata["name"].startswith("night-job-")
    assert "generateName" not in metadata


@pytest.mark.parametrize(
    ("text", "complaint", "line"),
    [
        ("a: b: c\n", "is not valid YAML: mapping values are not allowed", 1),
        ("kind: Pod\nspec: {containers: [\n", "is not valid YAML", 3),
        ("", "is empty, but the manifest of a pod must be a mapping", None),
        ("- a\n", "is a list", None),
        ("apiVersion: v1\nkind: Job\n", "has the kind 'Job', but only a Pod", 2),
        ("kind: Pod\napiVersion: v2\n", "has the apiVersion 'v2'", 2),
        ("kind: Pod\n", "has no spec", None),
        ("spec: {containers: []}\n", "has no container", None),
        ("spec: {containers: [a]}\n", "not a list of mappings", None),
        (GOOD.replace("OnFailure", "Always"), "restartPolicy 'Always', with which a pod never", 8),
        (GOOD.replace("{cost: low}", "low"), "metadata.annotations that is a str", 6),
        (GOOD.replace("{team: blue, app: theirs}", "[x]"), "metadata.labels that is a list", 5),
    ],
)
def test_an_invalid_manifest_is_rejected_with_its_text_and_the_line(
    text: str, complaint: str, line: int | None
) -> None:
    with pytest.raises(TemplateError) as caught:
        RenderedTemplate("mytask", "myjob", TEMPLATE, RenderedText([text])).parse()
    message = str(caught.value)
    assert message.startswith("mytask: the manifest for job 'myjob'")
    assert complaint in message
    assert (f", line {line}" in message) is (line is not None)
    assert all(part in message for part in text.splitlines())
