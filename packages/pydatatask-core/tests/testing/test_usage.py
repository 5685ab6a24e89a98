"""Use of the suites in the tests of a backend, as run by pytest."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["pytester"]

MODULE = """
import pytest, pytest_asyncio
from pydatatask_core.repository import InProcessMetadataRepository
from pydatatask_core.testing import MetadataRepositoryContract, RepositoryContract

class Forgetful(InProcessMetadataRepository):
    async def dump(self, job, data):
        await super().dump(job, data if data != b"text" else "text")

class TestMemory(MetadataRepositoryContract):
    breakable = creates = persistent = parses = False
    absent_info = None
    accepts_any_object = True
    foreign_names = ()

    @pytest_asyncio.fixture
    async def repo(self):
        return Forgetful()
"""

OVERRIDDEN = """
    @pytest.mark.parametrize("value", [b"text"])
    @pytest.mark.xfail(reason="bytes become text here", strict=True)
    async def test_an_awkward_value_comes_back_as_it_was(self, repo, value):
        await super().test_an_awkward_value_comes_back_as_it_was(repo, value)

    @pytest.mark.xfail(reason="no deviation", strict=True)
    async def test_any_value_comes_back_as_it_was(self, repo):
        await super().test_any_value_comes_back_as_it_was(repo)
"""

UNFINISHED = """
class TestUnfinished(RepositoryContract):
    @pytest.fixture
    def repo(self):
        return InProcessMetadataRepository()
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Return a function that runs a module in a separate process."""

    def run(module: str, names: str, mode: str = "auto") -> pytest.RunResult:
        pytester.makeini(
            f"[pytest]\nasyncio_mode = {mode}\n"
            "asyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
        )
        pytester.makepyfile(test_backend=module)
        return pytester.runpytest_subprocess("-k", names, "-p", "no:cacheprovider")

    return run


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_a_fault_of_a_backend_fails_its_tests(
    run: Callable[..., pytest.RunResult], mode: str
) -> None:
    result = run(MODULE, "awkward or jobs", mode)
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 1
    assert outcomes["passed"] > 20
    result.stdout.fnmatch_lines(["*FAILED*comes_back_as_it_was?bytes b'text'?*"])
    result.stdout.fnmatch_lines(["*'text'*"])


def test_a_deviation_is_an_override_that_expects_to_fail(
    run: Callable[..., pytest.RunResult],
) -> None:
    outcomes = run(MODULE + OVERRIDDEN, "comes_back_as_it_was").parseoutcomes()
    assert outcomes["xfailed"] == 1
    assert outcomes["failed"] == 1


def test_a_law_without_its_requirement_fails(
    run: Callable[..., pytest.RunResult],
) -> None:
    result = run(
        MODULE + UNFINISHED, "TestUnfinished and (a_store_that_fails or the_repr or each_job)"
    )
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["errors"], outcomes["failed"]) == (1, 2, 1)
    result.stdout.fnmatch_lines(
        [
            "TestUnfinished must provide the fixture `broken`*set `breakable = False`*",
            "TestUnfinished must provide the method `populate(repo, job)`, which adds a job",
        ]
    )


TASK = """
from pydatatask_core import InProcessSyncTask
from pydatatask_core.testing import TaskContract

class Forgetful(InProcessSyncTask):
    async def launch(self, job):
        pass

class TestForgetful(TaskContract):
    outlives_driver = has_quota = False
    run_timeout_seconds = 1.0

    def make_task(self, lab, **options):
        return Forgetful("task", lab.done, func=lab.perform, **options)

class TestUnfinished(TaskContract):
    pass
"""


def test_a_fault_of_a_task_fails_its_tests(run: Callable[..., pytest.RunResult]) -> None:
    result = run(TASK, "end_is_recorded or output_has_failed")
    outcomes = result.parseoutcomes()
    assert (outcomes["failed"], outcomes.get("passed")) == (8, None)
    result.stdout.fnmatch_lines(["TestUnfinished must provide the method `make_task(lab*"])


def test_a_missing_dependency_is_named_with_the_command_to_install_it() -> None:
    blocked = "import sys; sys.modules['hypothesis'] = None; import pydatatask_core.testing"
    result = subprocess.run(
        [sys.executable, "-c", blocked], check=False, capture_output=True, text=True
    )
    assert result.stderr.splitlines()[-1].endswith(
        "pydatatask_core.testing needs hypothesis, which is not installed; "
        "install it with pip install 'pydatatask-core[testing]'"
    )
