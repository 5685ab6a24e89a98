"""Each test of the suite of process managers fails for a manager or backend that breaks its law."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from processes.plain import PlainManager

from pydatatask_core import LocalLinuxManager
from pydatatask_core.proc_manager import ProcessState, ProcessStatus
from pydatatask_core.testing import ProcessManagerContract

from .harness import Mutant, failures, functions_of, law_of
from .mutants_of_backends import MUTANTS as BACKEND_MUTANTS
from .mutants_of_backends import Wrapper
from .mutants_of_managers import MUTANTS as MANAGER_MUTANTS
from .mutants_of_managers import EntersMounts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pydatatask_core.proc_manager import ProcessRun


class OverManager(ProcessManagerContract):
    """The contract, applied to a class of manager."""

    restarts = waits_for_session = False
    kind: Any
    root: Path

    async def make_manager(self) -> Any:
        manager = self.kind(self.root / "processes")
        await manager.backend.validate()
        return manager

    async def restart(self, manager: Any) -> Any:
        return self.kind(manager.basedir)


class WithBackend:
    """A correct manager with another backend.

    :param inner: the manager.
    :param backend: the backend.
    """

    def __init__(self, inner: LocalLinuxManager, backend: Any) -> None:
        self.inner = inner
        self.backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class OverBackend(OverManager):
    """The contract, applied to a class of backend of a correct manager."""

    restarts = True

    async def make_manager(self) -> Any:
        manager = LocalLinuxManager("mutants", self.root / "processes")
        await manager.validate()
        return WithBackend(manager, self.kind(manager.backend))

    async def restart(self, manager: Any) -> Any:
        inner = LocalLinuxManager(manager.app, manager.local_path)
        return WithBackend(inner, self.kind(inner.backend))


class WaitsForTheSession(Wrapper):
    """A backend for which a run has exited when no process is left in its directory."""

    async def exited(self, process_runs: Collection[ProcessRun]) -> list[ProcessRun]:
        runs = await self.inner.exited(process_runs)
        return [run for run in runs if not processes_in(run.directory)]

    async def inspect(self, run: ProcessRun, *arguments: Any, **options: Any) -> ProcessStatus:
        if processes_in(run.directory):
            return ProcessStatus(ProcessState.RUNNING)
        status: ProcessStatus = await self.inner.inspect(run, *arguments, **options)
        return status


def processes_in(folder: Path) -> list[int]:
    """Return the processes whose working directory is a folder or below it."""
    result = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):  # it has exited, or is that of another user
            if Path(os.readlink(entry)).is_relative_to(folder):
                result.append(int(entry.parent.name))
    return result


MUTANTS: dict[Any, list[Mutant]] = {OverManager: MANAGER_MUTANTS, OverBackend: BACKEND_MUTANTS}
CASES = [(contract, mutant) for contract, mutants in MUTANTS.items() for mutant in mutants]


@pytest.fixture(autouse=True)
def root(tmp_path: Path) -> Iterator[Path]:
    """Return a folder, and kill the processes in it when the test ends."""
    yield tmp_path
    for pid in processes_in(tmp_path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("contract", "mutant"), CASES, ids=[mutant.kind.__name__ for _, mutant in CASES]
)
async def test_the_suite_detects_the_fault(
    contract: Any, mutant: Mutant, root: Path, request: pytest.FixtureRequest
) -> None:
    if mutant.kind is EntersMounts:
        request.getfixturevalue("bind")  # skips the test where nothing can be mounted
    correct = PlainManager if contract is OverManager else Wrapper
    names, settings = mutant.caught_by, {"root": root / "correct"}
    if not mutant.settings:  # else the law does not apply to the correct one
        assert await failures(contract, correct, names, **settings) == {}
    settings = {"root": root / "broken", **mutant.settings}
    assert (await failures(contract, mutant.kind, names, **settings)).keys() == names


@pytest.mark.parametrize("mutant", [mutant for _, mutant in CASES], ids=lambda it: it.kind.__name__)
def test_the_fault_breaks_the_law_of_its_tests(mutant: Mutant) -> None:
    functions = functions_of(ProcessManagerContract)
    assert {law_of(functions[name]) for name in mutant.caught_by} == mutant.laws


def test_every_test_of_the_suite_detects_a_fault() -> None:
    caught = {name for _, mutant in CASES for name in mutant.caught_by}
    assert functions_of(ProcessManagerContract).keys() - caught == set()


async def test_a_backend_can_wait_for_the_session(root: Path) -> None:
    (law,) = (mutant.caught_by for mutant in BACKEND_MUTANTS if mutant.laws == {"T8"})
    settings = {"root": root, "waits_for_session": True}
    assert await failures(OverBackend, WaitsForTheSession, law, **settings) == {}
