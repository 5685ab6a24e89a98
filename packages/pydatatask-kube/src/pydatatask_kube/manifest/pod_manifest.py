"""Parsing of rendered templates, and completion of manifests. Without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydatatask_core.task.rendered import RenderedText
from pydatatask_kube.pod_names import ATTEMPT_ANNOTATION, labels, pod_name

if TYPE_CHECKING:
    from pydatatask_kube.shape import Difference

__all__ = ["ManifestError", "ShapeError", "complete", "parse"]

MAX_DEPTH = 100
"""How many levels of lists and mappings a manifest may have."""


class ManifestError(Exception):
    """A problem of a manifest, whose description may contain parts of the manifest.

    :param problem: the problem, as a predicate.
    :param line: the number of the wrong line, if known.
    """

    def __init__(self, problem: str, line: int | None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


class ShapeError(ManifestError):
    """A value changes the shape of a manifest; the message does not contain the value.

    :param difference: the place and the value.
    """

    def __init__(self, difference: Difference) -> None:
        place = f"`{difference.path}`" if difference.path else "the top level"
        super().__init__(f"has its shape changed by a value, at {place}", None)
        self.value = difference.value


def parse(text: str) -> dict[str, Any]:
    """Parse the manifest of a pod.

    Text rendered from a template is refused if a value in it changes the shape: if it adds or
    removes keys or items, or is more than a part of the scalar that it is printed into. Only the
    filter ``tojson`` may print a list or mapping.

    :param text: YAML, or JSON as a subset of it; text that was not rendered is not compared.
    :raises ManifestError: if it is not a valid manifest, or contains a key twice.
    """
    import yaml

    try:
        loaded = _load(text)
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        problem = getattr(e, "problem", None) or str(e)
        raise ManifestError(f"is not valid YAML: {problem}", mark and mark.line + 1) from e
    except ValueError as e:  # a date such as 2026-13-01
        raise ManifestError(f"is not valid YAML: {e}", None) from e
    except RecursionError as e:
        raise ManifestError("is nested too deeply", None) from e
    defect = _find_problem(loaded)
    if defect is not None:
        raise ManifestError(defect, _find_line(text, defect))
    manifest: dict[str, Any] = loaded
    return manifest


def _load(text: str) -> Any:
    import yaml

    from pydatatask_kube.shape import find_difference

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(str.__str__(text))
    try:
        document = loader.get_single_node()
        _check_keys(document)
        difference = find_difference(text, document) if isinstance(text, RenderedText) else None
        if difference is not None:
            raise ShapeError(difference)
        return None if document is None else loader.construct_document(document)
    finally:
        loader.dispose()


def _check_keys(document: Any) -> None:
    """Refuse a key that a mapping has twice, of which YAML would silently take the last."""
    from yaml import MappingNode, ScalarNode

    rest, seen = [(document, 0)], set[int]()
    while rest:
        node, depth = rest.pop()
        if node is None or isinstance(node, ScalarNode) or id(node) in seen:
            continue
        seen.add(id(node))  # an alias can be met again
        if depth >= MAX_DEPTH:
            line = node.start_mark.line + 1
            raise ManifestError(f"is nested in more than {MAX_DEPTH} levels", line)
        if not isinstance(node, MappingNode):
            rest += [(item, depth + 1) for item in node.value]
            continue
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            rest.append((value, depth + 1))
            if isinstance(key, ScalarNode):
                name, line = (key.tag, key.value), key.start_mark.line + 1
                if name in lines:
                    problem = f"has the key {key.value!r} twice, first in line {lines[name]}"
                    raise ManifestError(f"{problem}; remove one of them", line)
                lines[name] = line


def _find_problem(manifest: Any) -> str | None:
    if not isinstance(manifest, dict):
        return f"is {_describe_type(manifest)}, but the manifest of a pod must be a mapping"
    if manifest.get("kind", "Pod") != "Pod":
        return f"has the kind {manifest['kind']!r}, but only a Pod can be launched"
    if manifest.get("apiVersion", "v1") != "v1":
        return f"has the apiVersion {manifest['apiVersion']!r}, but that of a Pod is v1"
    spec = manifest.get("spec")
    if not isinstance(spec, dict):
        return "has no spec"
    return _find_metadata_problem(manifest.get("metadata") or {}) or _find_spec_problem(spec)


def _find_metadata_problem(metadata: Any) -> str | None:
    if not isinstance(metadata, dict):
        return f"has metadata that is {_describe_type(metadata)}, not a mapping"
    for name in ("labels", "annotations"):
        value = metadata.get(name)
        if value is not None and not isinstance(value, dict):
            return f"has metadata.{name} that is {_describe_type(value)}, not a mapping"
    return None


def _find_spec_problem(spec: dict[str, Any]) -> str | None:
    if not spec.get("containers"):
        return "has no container: spec.containers is empty or missing"
    for field in ("containers", "initContainers"):
        containers = spec.get(field) or []
        if not isinstance(containers, list) or not all(isinstance(c, dict) for c in containers):
            return f"has a spec.{field} that is not a list of mappings"
    if spec.get("restartPolicy", "Never") not in ("Never", "OnFailure"):
        return (
            f"has restartPolicy {spec['restartPolicy']!r}, with which a pod never ends; "
            "it must be Never (the default) or OnFailure"
        )
    return None


def _describe_type(value: object) -> str:
    return "empty" if value is None else f"a {type(value).__name__}"


def _find_line(text: str, problem: str) -> int | None:
    """Return the number of the line with the field that a problem names, if it is in the text."""
    for field in ("restartPolicy", "kind", "apiVersion", "labels", "annotations", "metadata"):
        if f" {field} " in f" {problem} ".replace("metadata.", " "):
            for number, line in enumerate(text.splitlines(), 1):
                if line.strip().removeprefix("- ").startswith(f"{field}:"):
                    return number
    return None


def complete(
    manifest: dict[str, Any], app: str, task: str, job: str, attempt: int
) -> dict[str, Any]:
    """Return a copy of a manifest with the name, labels and defaults of a job's pod.

    The user's values are kept, except that the labels ``app``, ``task`` and ``job`` are replaced
    and a name becomes the beginning of the pod's name.

    :param manifest: the manifest.
    :param app: the application.
    :param task: the task.
    :param job: the job.
    :param attempt: the number of the attempt.
    :return: the complete manifest.
    """
    metadata = dict(manifest.get("metadata") or {})
    prefix = metadata.pop("generateName", None) or metadata.get("name")
    metadata["name"] = pod_name(app, task, job, None if prefix is None else str(prefix))
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels(app, task, job)}
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        ATTEMPT_ANNOTATION: str(attempt),
    }
    spec = {"restartPolicy": "Never", **manifest["spec"]}
    defaults = {"apiVersion": "v1", "kind": "Pod"}
    return {**defaults, **manifest, "metadata": metadata, "spec": spec}
