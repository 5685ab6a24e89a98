"""Parsing of rendered templates, and completion of manifests. Without I/O."""

from __future__ import annotations

from typing import Any

from .names import ATTEMPT, labels, pod_name

__all__ = ["ManifestError", "complete", "parse"]


class ManifestError(Exception):
    """A problem of a manifest, whose description may contain parts of the manifest.

    :param problem: the problem, as a predicate.
    :param line: the number of the wrong line, if known.
    """

    def __init__(self, problem: str, line: int | None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


def parse(text: str) -> dict[str, Any]:
    """Parse the manifest of a pod.

    :param text: YAML, or JSON as a subset of it.
    :raises ManifestError: if it is not a valid manifest.
    """
    import yaml

    loader: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    try:
        found = yaml.load(text, Loader=loader)
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        problem = getattr(e, "problem", None) or str(e)
        raise ManifestError(f"is not valid YAML: {problem}", mark and mark.line + 1) from e
    wrong = _problem(found)
    if wrong is not None:
        raise ManifestError(wrong, _line_of(text, wrong))
    manifest: dict[str, Any] = found
    return manifest


def _problem(manifest: Any) -> str | None:
    if not isinstance(manifest, dict):
        return f"is {_kind(manifest)}, but the manifest of a pod must be a mapping"
    if manifest.get("kind", "Pod") != "Pod":
        return f"has the kind {manifest['kind']!r}, but only a Pod can be launched"
    if manifest.get("apiVersion", "v1") != "v1":
        return f"has the apiVersion {manifest['apiVersion']!r}, but that of a Pod is v1"
    spec = manifest.get("spec")
    if not isinstance(spec, dict):
        return "has no spec"
    return _problem_of_metadata(manifest.get("metadata") or {}) or _problem_of_spec(spec)


def _problem_of_metadata(metadata: Any) -> str | None:
    if not isinstance(metadata, dict):
        return f"has metadata that is {_kind(metadata)}, not a mapping"
    for name in ("labels", "annotations"):
        value = metadata.get(name)
        if value is not None and not isinstance(value, dict):
            return f"has metadata.{name} that is {_kind(value)}, not a mapping"
    return None


def _problem_of_spec(spec: dict[str, Any]) -> str | None:
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


def _kind(value: object) -> str:
    return "empty" if value is None else f"a {type(value).__name__}"


def _line_of(text: str, problem: str) -> int | None:
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
    metadata["annotations"] = {**(metadata.get("annotations") or {}), ATTEMPT: str(attempt)}
    spec = {"restartPolicy": "Never", **manifest["spec"]}
    usual = {"apiVersion": "v1", "kind": "Pod"}
    return {**usual, **manifest, "metadata": metadata, "spec": spec}
