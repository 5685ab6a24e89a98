"""Resource requests of pods, by the rules of the scheduler."""

from __future__ import annotations

from typing import Any

import pytest

from pydatatask_core.errors import QuantityError
from pydatatask_core.resource_manager import Resources
from pydatatask_kube.manifest.resource_requests import resources_of


def container(cpu: Any = None, memory: Any = None, **more: Any) -> dict[str, Any]:
    amounts = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v is not None}
    return {"name": "c", "resources": {"requests": amounts}, **more}


SPECS: dict[str, tuple[dict[str, Any], tuple[Any, Any]]] = {
    "nothing": ({"containers": [{"name": "c"}]}, (0, 0)),
    "null": ({"containers": [{"name": "c", "resources": None}]}, (0, 0)),
    "one": ({"containers": [container("100m", "1Mi")]}, ("100m", "1Mi")),
    "a sum": ({"containers": [container("100m", "1Mi"), container(1, "2Mi")]}, ("1.1", "3Mi")),
    "a limit where nothing is requested": (
        {
            "containers": [
                {
                    "name": "c",
                    "resources": {
                        "requests": {"cpu": "1"},
                        "limits": {"cpu": "4", "memory": "1Gi"},
                    },
                }
            ]
        },
        (1, "1Gi"),
    ),
    "a larger init container": (
        {"initContainers": [container("2", "1Mi")], "containers": [container("1", "5Mi")]},
        (2, "5Mi"),
    ),
    "init containers one after the other": (
        {
            "initContainers": [container("2", "1Mi"), container("1", "3Mi")],
            "containers": [container("1", "1Mi")],
        },
        (2, "3Mi"),
    ),
    "a side container of the cluster's kind": (
        {
            "initContainers": [container("1", "1Mi", restartPolicy="Always")],
            "containers": [container("1", "1Mi")],
        },
        (2, "2Mi"),
    ),
    "an init container beside one": (
        {
            "initContainers": [container("1", 0, restartPolicy="Always"), container("5", 0)],
            "containers": [container("1", 0)],
        },
        (6, 0),
    ),
    "an init container before one": (
        {
            "initContainers": [container("5", 0), container("1", 0, restartPolicy="Always")],
            "containers": [container("1", 0)],
        },
        (5, 0),
    ),
    "overhead": ({"containers": [container("1", 0)], "overhead": {"cpu": "250m"}}, ("1.25", 0)),
    "the pod as a whole": (
        {"containers": [container("1", "1Mi")], "resources": {"requests": {"cpu": "3"}}},
        (3, "1Mi"),
    ),
}


@pytest.mark.parametrize("what", SPECS)
def test_requests_are_counted_as_by_the_scheduler(what: str) -> None:
    spec, (cpu, memory) = SPECS[what]
    assert resources_of(spec) == Resources.parse(cpu, memory, 1)


def test_the_error_for_an_invalid_quantity_names_its_container() -> None:
    with pytest.raises(QuantityError, match="the cpu of container 'c': '1 core'"):
        resources_of({"containers": [container("1 core", 0)]})
