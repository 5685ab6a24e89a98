"""A user's function that raises for one job: all commands that only read still work."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Program

HEAD = """
import os
import pydatatask_cli
from pydatatask_core import *
from pydatatask_core.repository.views.filtered import FilterRepository

values = {f"j{i}": {"weight": i} for i in range(6)}
del values["j3"]["weight"]
repo = InProcessMetadataRepository(values)

class Panic(BaseException):
    pass

def weight(job):
    if job == "j3":
        raise ERROR
    return values[job]["weight"]

async def body(job, inp):
    with open("log", "a") as log:
        log.write(job + " ")

def main(inp=repo, ready=None, **options):
    t = InProcessSyncTask("t", YamlMetadataFileRepository("done"), ready, func=body)
    t.link("inp", inp, is_input=True)
    if __name__ == "__main__":
        pydatatask_cli.main(Pipeline([t], **options))
"""

FILTER = "main(repo.map(lambda value: value, lambda job: weight(job) > 1))"
TRANSLATION = """
class Translator(InProcessMetadataRepository):
    async def info(self, job):
        weight(job)
        return job
    async def info_many(self, jobs):
        return {job: await self.info(job) for job in jobs}
main(RelatedItemRepository(repo, Translator(values)))
"""
MAPPED_TRANSLATION = """
main(RelatedItemRepository(repo, repo.map(lambda value: f"j{value['weight']}")))
"""
READY = """
class Ready(FilterRepository):
    async def passes(self, job):
        return weight(job) > 1
main(ready=Ready(repo) - YamlMetadataFileRepository("done"))
"""
PRIORITY = "main(priority=lambda task, job: weight(job))"
ERRORS = ["KeyError('weight')", "Panic('unwrap')", "SystemExit(3)"]

LOOKING = [
    ["plan"],
    ["validate"],
    ["status"],
    ["explain", "t", "j3"],
    ["explain", "t", "j4"],
    ["trace", "j3", "j4"],
    ["ls", "t.inp"],
]


def write(program: Program, text: str, error: str = ERRORS[0]) -> None:
    program.script.write_text(HEAD.replace("ERROR", error) + text)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(
    ("text", "launched"),
    [
        (FILTER, "j2 j4 j5"),
        (TRANSLATION, "j0 j1 j2 j4 j5"),
        (READY, "j2 j4 j5"),
        (PRIORITY, "j0 j1 j2 j4 j5"),
    ],
    ids=["filter", "translation", "ready", "priority"],
)
def test_the_other_jobs_are_launched_and_the_failing_call_is_reported_once(
    program: Program, text: str, launched: str, error: str
) -> None:
    write(program, text, error)

    ended = program.run("update")

    assert sorted((program.folder / "log").read_text().split()) == launched.split()
    [told] = [line for line in ended.stderr.splitlines() if " job 'j3': " in line]
    assert error.split("(", maxsplit=1)[0] in told


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
@pytest.mark.parametrize(
    "text",
    [FILTER, TRANSLATION, MAPPED_TRANSLATION, READY, PRIORITY],
    ids=["filter", "translation", "mapped translation", "ready", "priority"],
)
def test_commands_that_only_read_work(program: Program, text: str, command: list[str]) -> None:
    write(program, text)

    ended = program.run(*command)

    assert "Traceback" not in ended.stderr
    assert ended.stdout
    assert ended.returncode == 0 or "j3" in ended.stderr


def test_an_explanation_includes_the_unknown_facts_of_the_job(program: Program) -> None:
    write(program, FILTER)

    told = program.output("explain", "t", "j3")

    assert "job j3 is not ready for t" in told
    assert "it passes the filter (not known: the filter " in told
    assert "raised for job 'j3': KeyError: 'weight')" in told


def test_a_plan_has_a_job_without_a_priority_with_the_reason(program: Program) -> None:
    write(program, PRIORITY)

    plan = json.loads(program.output("plan", "--json"))

    assert [each["job"] for each in plan["launch"]] == ["j5", "j4", "j2", "j1", "j0"]
    [held] = plan["wait"]
    assert held["job"] == "j3"
    assert held["reason"].endswith("priority of task t raised for job 'j3': KeyError: 'weight'")


DOWN = """
class Down(InProcessMetadataRepository):
    async def keys(self):
        raise ValueError("out of order")
    async def contains(self, job):
        raise ValueError("out of order")
other = InProcessSyncTask("other", InProcessMetadataRepository(), ready=Down(), func=body)
other.link("inp", repo, is_input=True)
t = InProcessSyncTask("t", InProcessMetadataRepository(), func=body)
t.link("inp", repo, is_input=True)
t.link("more", Down())
if __name__ == "__main__":
    pydatatask_cli.main(Pipeline([other, t]))
"""


def test_a_ready_repository_that_raises_for_one_task_keeps_the_plan_of_the_others(
    program: Program,
) -> None:
    write(program, DOWN)

    ended = program.run("plan")

    assert ended.returncode == 1
    assert ended.stdout.splitlines() == [f"launch t j{number}" for number in range(6)]
    assert ended.stderr == "Error: other: out of order\n"


@pytest.mark.parametrize("command", [["validate"], ["trace", "-a", "j1"], ["status", "-a"]])
def test_a_repository_that_raises_is_reported_beside_the_rest(
    program: Program, command: list[str]
) -> None:
    write(program, DOWN)

    ended = program.run(*command)

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].endswith("out of order")
    assert "Traceback" not in ended.stderr
