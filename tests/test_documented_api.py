"""What the documentation of release 0.4.3 promises of core is there, under the same signatures.

The table is the documentation as data: for each module and name, the parameters with their
defaults, in order (``...`` stands for a parameter without a default), the documented base
classes, and the documented methods. Parameters of ours may only follow as keyword-only ones, or
behind the documented ones with a default.
"""

from __future__ import annotations

import importlib
import inspect
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

NO = inspect.Parameter.empty
LINK = {
    "is_input": False,
    "is_output": False,
    "is_status": False,
    "inhibits_start": False,
}

# module -> name -> (constructor's parameters, documented bases)
CLASSES: dict[str, dict[str, tuple[dict[str, Any], list[str]]]] = {
    "pipeline": {
        # `session` and `resources` are required in 0.4.3 and optional here.
        "Pipeline": (
            {"tasks": NO, "session": None, "resources": (), "priority": None},
            ["object"],
        ),
    },
    "proc_manager": {
        "AbstractProcessManager": ({}, ["object"]),
        "LocalLinuxManager": (
            {"app": NO, "local_path": "/tmp/pydatatask"},
            ["AbstractProcessManager"],
        ),
        "SSHLinuxManager": (
            {"app": NO, "ssh": NO, "remote_path": "/tmp/pydatatask"},
            ["AbstractProcessManager"],
        ),
    },
    "repository": {
        "Repository": ({}, ["object"]),
        "BlobRepository": ({}, ["Repository"]),
        "MetadataRepository": ({}, ["Repository"]),
        "FileRepositoryBase": (
            {"basedir": NO, "extension": "", "case_insensitive": False},
            ["Repository"],
        ),
        "FileRepository": (
            {"basedir": NO, "extension": "", "case_insensitive": False},
            ["FileRepositoryBase", "BlobRepository"],
        ),
        "DirectoryRepository": ({}, ["FileRepositoryBase"]),
        "InProcessMetadataRepository": ({"data": None}, ["MetadataRepository"]),
        "InProcessBlobStream": ({"repo": NO, "job": NO}, ["object"]),
        "InProcessBlobRepository": ({"data": None}, ["BlobRepository"]),
        "ExecutorLiveRepo": ({"task": NO}, ["Repository"]),
        "AggregateOrRepository": ({}, ["Repository"]),
        "AggregateAndRepository": ({}, ["Repository"]),
        "BlockingRepository": (
            {"source": NO, "unless": NO, "enumerate_unless": True},
            ["Repository"],
        ),
        "YamlMetadataRepository": ({}, ["BlobRepository", "MetadataRepository"]),
        "YamlMetadataFileRepository": (
            {"filename": NO, "extension": ".yaml", "case_insensitive": False},
            ["YamlMetadataRepository", "FileRepository"],
        ),
        "RelatedItemRepository": (
            {
                "base_repository": NO,
                "translator_repository": NO,
                "allow_deletes": False,
                "prefetch_lookup": True,
            },
            ["Repository"],
        ),
        "MapRepository": ({}, ["Repository"]),
        "S3BucketRepository": (
            {
                "client": NO,
                "bucket": NO,
                "prefix": "",
                "suffix": "",
                "mimetype": "application/octet-stream",
                "incluster_endpoint": None,
            },
            ["BlobRepository"],
        ),
        "S3BucketInfo": (
            {"endpoint": NO, "uri": NO, "bucket": NO, "prefix": NO, "suffix": NO},
            ["object"],
        ),
        "YamlMetadataS3Repository": (
            {
                "client": NO,
                "bucket": NO,
                "prefix": NO,
                "suffix": ".yaml",
                "mimetype": "text/yaml",
            },
            ["YamlMetadataRepository", "S3BucketRepository"],
        ),
        "DockerRepository": (
            {"registry": NO, "domain": NO, "repository": NO},
            ["Repository"],
        ),
        "MongoMetadataRepository": (
            {"collection": NO, "subcollection": None},  # required in 0.4.3, optional here
            ["MetadataRepository"],
        ),
    },
    "resource_manager": {
        "ResourceType": ({}, ["object"]),
        "Resources": ({"cpu": Decimal(0), "mem": Decimal(0), "launches": 1}, ["object"]),
        "ResourceManager": ({"quota": NO}, ["object"]),
    },
    "session": {"Session": ({}, ["object"])},
    "task": {
        "Link": (
            {
                "repo": NO,
                **LINK,
                "required_for_start": False,
                "inhibits_output": False,
                "required_for_output": False,
            },
            ["object"],
        ),
        "Task": ({"name": NO, "ready": None, "disabled": False}, ["object"]),
        "ProcessTask": (
            {
                "name": NO,
                "manager": NO,
                "resource_manager": NO,
                "job_resources": NO,
                "pids": NO,
                "template": NO,
                "window": timedelta(seconds=60),
                "environ": None,
                "done": None,
                "stdin": None,
                "stdout": None,
                "stderr": None,
                "ready": None,
            },
            ["Task"],
        ),
        "InProcessSyncTask": ({"name": NO, "done": NO, "ready": None, "func": None}, ["Task"]),
        "ExecutorTask": (
            {"name": NO, "executor": NO, "done": NO, "ready": None, "func": None},
            ["Task"],
        ),
    },
    "utils": {
        "AReadText": (
            {"base": NO, "encoding": "utf-8", "errors": "strict", "chunksize": 4096},
            ["object"],
        ),
        "AWriteText": ({"base": NO, "encoding": "utf-8", "errors": "strict"}, ["object"]),
        "AReadStream": ({}, ["object"]),
        "AWriteStream": ({}, ["object"]),
    },
}

# module -> name -> parameters; a method is given as Class.method
FUNCTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "pipeline": {
        "Pipeline.settings": {"synchronous": False, "metadata": True},
        "Pipeline.open": {},
        "Pipeline.close": {},
        "Pipeline.update": {},
        "Pipeline.update_only_update": {},
        "Pipeline.update_only_launch": {},
        "Pipeline.gather_ready_jobs": {"task": NO},
        "Pipeline.graph": {},
        "Pipeline.dependants": {"node": NO, "recursive": NO},
    },
    "proc_manager": {
        "AbstractProcessManager.get_live_pids": {"hint": NO},
        "AbstractProcessManager.spawn": {
            "args": NO,
            "environ": NO,
            "cwd": NO,
            "return_code": NO,
            "stdin": NO,
            "stdout": NO,
            "stderr": NO,
        },
        "AbstractProcessManager.kill": {"pid": NO},
        "AbstractProcessManager.open": {"path": NO, "mode": NO},
        "AbstractProcessManager.mkdir": {"path": NO},
        "AbstractProcessManager.rmtree": {"path": NO},
    },
    "repository": {
        "Repository.is_valid_job_id": {"job": NO},
        "Repository.filter_jobs": {"iterator": NO},
        "Repository.contains": {"item": NO},
        "Repository.unfiltered_iter": {},
        "Repository.info": {"job": NO},
        "Repository.delete": {"job": NO},
        "Repository.info_all": {},
        "Repository.validate": {},
        "Repository.map": {"func": NO, "filt": None, "allow_deletes": False},
        "MetadataRepository.dump": {"job": NO, "data": NO},
        "FileRepositoryBase.fullpath": {"job": NO},
        "FileRepository.open": {"job": NO, "mode": "r"},
        "DirectoryRepository.mkdir": {"job": NO},
        "InProcessBlobRepository.open": {"job": NO, "mode": "r"},
        "InProcessBlobStream.read": {"n": None},
        "InProcessBlobStream.write": {"data": NO},
        "InProcessBlobStream.close": {},
    },
    "resource_manager": {
        "parse_quantity": {"quantity": NO},
        "Resources.parse": {"cpu": NO, "mem": NO, "launches": None},
        "Resources.excess": {"limit": NO},
        "ResourceManager.register": {"func": NO},
        "ResourceManager.flush": {},
        "ResourceManager.reserve": {"request": NO},
        "ResourceManager.relinquish": {"request": NO},
    },
    "session": {
        "Session.resource": {"manager": NO},
        "Session.open": {},
        "Session.close": {},
    },
    "task": {
        "Task.link": {
            "name": NO,
            "repo": NO,
            **LINK,
            "required_for_start": None,
            "inhibits_output": False,
            "required_for_output": None,
        },
        "Task.plug": {
            "output": NO,
            "output_links": None,
            "meta": True,
            "translator": None,
            "translate_allow_deletes": False,
            "translate_prefetch_lookup": True,
        },
        "Task.validate": {},
        "Task.update": {},
        "Task.launch": {"job": NO},
        "ExecutorTask.cancel": {"job": NO},
    },
    "utils": {
        "async_copyfile": {"copyfrom": NO, "copyto": NO, "blocksize": 1048576},
        "async_copyfile_str": {"copyfrom": NO, "copyto": NO, "blocksize": 1048576},
        "AReadText.read": {"n": None},
        "AReadText.close": {},
        "AWriteText.write": {"data": NO},
        "AWriteText.close": {},
    },
}

PROPERTIES = {
    "proc_manager": [
        "AbstractProcessManager.basedir",
        "LocalLinuxManager.basedir",
        "SSHLinuxManager.basedir",
        "SSHLinuxManager.ssh",
    ],
    "task": [
        *(
            f"Task.{name}"
            for name in (
                "ready",
                "input",
                "output",
                "status",
                "inhibits_start",
                "required_for_start",
                "inhibits_output",
                "required_for_output",
            )
        ),
        "ProcessTask.manager",
        "ProcessTask.stderr",
        "ProcessTask.basedir",
    ],
}


def find(module: str, path: str) -> Any:
    found: Any = importlib.import_module(f"pydatatask.{module}")
    for part in path.split("."):
        found = getattr(found, part)
    return found


def check(parameters: list[inspect.Parameter], documented: dict[str, Any]) -> None:
    given = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    assert [p.name for p in given[: len(documented)]] == list(documented)
    for parameter in given[: len(documented)]:
        assert parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        assert parameter.default == documented[parameter.name]
    for ours in given[len(documented) :]:
        assert ours.default is not NO


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in CLASSES for name in CLASSES[module]]
)
def test_a_documented_class_has_its_parameters_and_bases(module: str, name: str) -> None:
    parameters, bases = CLASSES[module][name]
    found = find(module, name)

    assert getattr(importlib.import_module("pydatatask"), name) is found
    for base in bases:
        expected = object if base == "object" else find(module, base)
        assert issubclass(found, expected)
    if parameters:
        check(list(inspect.signature(found).parameters.values()), parameters)


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in FUNCTIONS for name in FUNCTIONS[module]]
)
def test_a_documented_function_has_its_parameters(module: str, name: str) -> None:
    found = find(module, name)
    parameters = list(inspect.signature(found).parameters.values())
    if parameters and parameters[0].name == "self":
        parameters = parameters[1:]

    check(parameters, FUNCTIONS[module][name])


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in PROPERTIES for name in PROPERTIES[module]]
)
def test_a_documented_property_is_one(module: str, name: str) -> None:
    owner, attribute = name.rsplit(".", 1)

    assert isinstance(inspect.getattr_static(find(module, owner), attribute), property)


def test_the_constants_of_job_ids_and_resources_are_as_documented() -> None:
    repository = find("repository", "Repository")
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    kinds = find("resource_manager", "ResourceType")

    assert repository.CHARSET == repository.CHARSET_START_END == letters
    assert (kinds.CPU.value, kinds.MEM.value, kinds.RATE.value) == (1, 2, 3)
    assert find("task", "STDOUT") is importlib.import_module("pydatatask").STDOUT


async def test_round_robin_goes_as_documented() -> None:
    roundrobin = find("utils", "roundrobin")

    assert [x async for x in roundrobin("ABC", "D", "EF")] == list("ADEBFC")
