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
from pydatatask_core.testing import ProcessManagerContract

from .harness import Mutant, failures, functions_of, law_of
from .mutants_of_backends import MUTANTS as BACKEND_MUTANTS
from .mutants_of_backends import Wrapper
from .mutants_of_managers import MUTANTS as MANAGER_MUTANTS
from .mutants_of_managers import EntersMounts

if TYPE_CHECKING:
    from collections.abc import Iterator


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

    restarts = waits_for_session = True
    kill_supervisor = "read -r _ _ _ outer _ </proc/$PPID/stat; kill -KILL $outer $PPID"

    async def make_manager(self) -> Any:
        manager = LocalLinuxManager("mutants", self.root / "processes")
        await manager.validate()
        return WithBackend(manager, self.kind(manager.backend))

    async def restart(self, manager: Any) -> Any:
        inner = LocalLinuxManager(manager.app, manager.local_path)
        return WithBackend(inner, self.kind(inner.backend))


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
