"""Functions that run in pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.errors import TaskConfigurationError, TaskError
from pydatatask_core.pipeline import Pipeline
from pydatatask_core.repository import InProcessBlobRepository, InProcessMetadataRepository
from pydatatask_core.resource_manager import ResourceManager, Resources
from pydatatask_core.task import Retries
from pydatatask_kube import KubeFunctionTask

from .driven_task import TEMPLATE, until

if TYPE_CHECKING:
    from .api_server import ApiServer

COMMAND = TEMPLATE.replace(
    '"{{ job }}", {{ inp }}',
    'python3, "{{argv0}}", launch, "{{task}}", "{{job}}", "--force", "--sync"',
)


class Functions:
    """A task that runs a function, with everything needed to drive it.

    :param server: the server.
    :param options: further arguments of the task.
    """

    def __init__(self, server: ApiServer, **options: Any) -> None:
        self.podman = server.manager()
        self.inp = InProcessMetadataRepository({"good": 1, "bad": 0})
        self.out = InProcessMetadataRepository()
        self.logs = InProcessBlobRepository()
        self.kube_done = InProcessMetadataRepository()
        self.func_done = InProcessMetadataRepository()
        given = {"logs": self.logs, "kube_done": self.kube_done, "func_done": self.func_done}
        quota = ResourceManager(Resources.parse(10, "1Gi"))
        self.task = KubeFunctionTask("task", lambda: self.podman, quota, COMMAND, **given | options)

        @self.task
        async def task(job: str, inp: Any, out: Any) -> None:
            await out.dump(job, 1 / await inp.info(job))

        self.task.link("inp", self.inp, is_input=True)
        self.task.link("out", self.out, is_output=True)
        self.pipeline = Pipeline([self.task])

    async def in_pod(self, job: str) -> int:
        """Run what the command in a pod runs, and return its exit status."""
        await self.pipeline.open(mode="one", only=["task"])
        try:
            self.pipeline.settings(synchronous=True)
            await self.task.launch(job)
        except TaskError:
            return 1
        finally:
            await self.pipeline.close()
        return 0


@pytest.fixture
async def functions(server: ApiServer) -> Any:
    functions = Functions(server)
    yield functions
    await functions.podman.close()


async def test_in_its_pod_the_function_runs_without_requests_to_the_cluster(
    server: ApiServer, functions: Functions
) -> None:
    assert await functions.in_pod("good") == 0
    assert functions.out.data == {"good": 1.0}
    record = functions.func_done.data["good"]
    assert record["success"] is True
    assert record["start_time"] <= record["end_time"]
    assert functions.kube_done.data == {}
    assert server.counts.total() == 0


async def test_an_exception_of_the_function_is_recorded_and_makes_its_pod_fail(
    functions: Functions,
) -> None:
    assert await functions.in_pod("bad") == 1
    record = functions.func_done.data["bad"]
    assert record["success"] is False
    assert record["exception"] == "ZeroDivisionError: division by zero"
    assert "await out.dump" in record["traceback"]


async def test_a_pod_that_ends_before_its_function_is_a_failure_of_the_function_too(
    server: ApiServer, functions: Functions
) -> None:
    server.on_create = lambda pod: server.finish(pod, code=137)
    functions.inp.data.pop("bad")
    async with functions.pipeline as pipeline:
        await pipeline.run()
    assert functions.func_done.data["good"]["success"] is False
    assert "SIGKILL" in functions.func_done.data["good"]["reason"]
    assert functions.kube_done.data["good"]["return_code"] == 137
    command = functions.logs.data
    assert command == {"good": b"good\n"}


async def test_the_command_of_the_pod_launches_its_job_in_place(
    server: ApiServer, functions: Functions
) -> None:
    async with functions.pipeline:
        await functions.task.launch("good")
        args = server.of("good")["spec"]["containers"][0]["args"]
    assert args[0] == "python3"
    assert args[2:] == ["launch", "task", "good", "--force", "--sync"]


async def test_an_attempt_that_succeeds_replaces_the_one_that_failed(
    server: ApiServer,
) -> None:
    functions = Functions(server, retries=Retries(1, delay=0.01))
    functions.inp.data.pop("bad")

    def attempt(pod: Any) -> None:
        second = server.created["good"] == 2
        functions.func_done.data["good"] = {"success": second}
        server.finish(pod, code=0 if second else 1)

    server.on_create = attempt
    async with functions.pipeline as pipeline:
        await pipeline.run()
        await until(lambda: not server.pods)
        assert await functions.task.gated("func_done").contains("good")
    await functions.podman.close()
    assert functions.kube_done.data["good"]["attempt"] == 2


async def test_a_task_without_a_function_or_with_an_unknown_link_is_rejected(
    server: ApiServer,
) -> None:
    functions = Functions(server)
    functions.task.func = None
    with pytest.raises(TaskConfigurationError, match="has no body"):
        await functions.pipeline.open()

    async def other(job: str, nothing: Any) -> None: ...

    functions.task(other)
    with pytest.raises(TaskConfigurationError, match="'nothing', which is not a link"):
        await functions.pipeline.open()
    await functions.podman.close()
