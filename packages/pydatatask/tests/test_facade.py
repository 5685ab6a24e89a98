"""The documented names, each of which is the object that its package defines."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pydoc
import subprocess
import sys

import pytest

import pydatatask
import pydatatask_core

MODULES = (
    "pipeline",
    "pod_manager",
    "proc_manager",
    "repository",
    "resource_manager",
    "session",
    "task",
    "utils",
)
NOT_LIGHT = ["dataclasses", "decimal", "pathlib"]
"""Modules of the standard library that take milliseconds each, out of a budget of 30."""

HEAVY = [
    "IPython",
    "aiobotocore",
    "asyncssh",
    "botocore",
    "bson",
    "click",
    "docker_registry_client_async",
    "jinja2",
    "kubernetes_asyncio",
    "motor",
    "networkx",
    "pymongo",
    "rich",
    "yaml",
]


def in_a_new_process(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("name", ["Pipelines", "_SOURCES_", "core", "os"])
def test_an_unknown_name_is_an_attribute_error_that_names_it(name: str) -> None:
    with pytest.raises(AttributeError, match=f"'pydatatask' has no attribute '{name}'"):
        getattr(pydatatask, name)
    assert not hasattr(pydatatask, name)


@pytest.mark.parametrize("module", MODULES)
def test_an_unknown_name_of_a_module_is_an_attribute_error(module: str) -> None:
    with pytest.raises(AttributeError, match=f"'pydatatask.{module}' has no attribute 'Nothing'"):
        _ = importlib.import_module(f"pydatatask.{module}").Nothing


@pytest.mark.parametrize("module", MODULES)
def test_a_name_is_the_same_object_in_every_module(module: str) -> None:
    documented = importlib.import_module(f"pydatatask.{module}")
    for name in documented.__all__:
        value = getattr(documented, name)
        assert value is getattr(pydatatask, name, value)
        assert name in dir(documented)


def test_every_public_name_is_there_and_listed_once_beside_the_modules() -> None:
    names = importlib.import_module("pydatatask").__all__
    for name in names:
        assert hasattr(pydatatask, name)
    assert len(set(names)) == len(names)
    shown = {name for name in dir(pydatatask) if not name.startswith("__")}
    assert shown == {*names, *MODULES, "fuse", "main"}


def test_import_star_imports_every_public_name() -> None:
    found = in_a_new_process(
        "from pydatatask import *\nimport pydatatask\n"
        "print([name for name in pydatatask.__all__ if name not in globals()])"
    )
    assert found == "[]"


def test_classes_keep_their_defining_module_and_unpickle_with_only_the_core() -> None:
    for name in ("Pipeline", "FileRepository", "InProcessSyncTask", "Session", "Resources"):
        kind = getattr(pydatatask, name)
        assert kind.__module__.startswith("pydatatask_core.")
        assert pickle.loads(pickle.dumps(kind)) is kind
        assert b"pydatatask_core" in pickle.dumps(kind)


def test_objects_pickled_by_0_4_under_documented_names_unpickle() -> None:
    for module, name in (("repository", "FileRepository"), ("task", "Link"), ("main", "run")):
        pickled = f"cpydatatask.{module}\n{name}\n.".encode()
        documented = importlib.import_module(f"pydatatask.{module}")
        assert pickle.loads(pickled) is getattr(documented, name)


def test_signatures_and_help_are_those_of_the_defined_object() -> None:
    assert list(inspect.signature(pydatatask.main).parameters) == ["pipeline", "instrument"]
    assert inspect.signature(pydatatask.Pipeline) == inspect.signature(pydatatask_core.Pipeline)
    for found, shown in (
        (pydatatask, "class Pipeline(builtins.object)"),
        (pydatatask.main, "main(pipeline: 'Pipeline', instrument: "),
        (pydatatask.session, "class Session(builtins.object)"),
        (pydatatask.Session, "resource(self, manager: "),
    ):
        assert shown in pydoc.plain(pydoc.render_doc(found))


def test_the_first_names_load_no_client_library_or_other_heavy_module() -> None:
    loaded = in_a_new_process(
        "import asyncio, sys\n"
        "before = set(sys.modules)\n"
        "import pydatatask\n"
        "pydatatask.Pipeline, pydatatask.ProcessTask, pydatatask.YamlMetadataFileRepository\n"
        f"print(sorted((sys.modules.keys() - before) & set({[*HEAVY, *NOT_LIGHT]!r})))"
    )
    assert loaded == "[]"


def test_importing_loads_only_the_module_for_lazy_names_of_the_core() -> None:
    loaded = in_a_new_process(
        "import sys, pydatatask\n"
        "print(sorted(name for name in sys.modules if name.startswith('pydatatask_core.')))"
    )
    assert set(eval(loaded)) <= {"pydatatask_core.lazy", "pydatatask_core.errors"}
