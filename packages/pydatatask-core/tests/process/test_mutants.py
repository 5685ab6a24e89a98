"""The suite of process managers notices runs that hold output, or start scripts, wrongly."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import LocalLinuxManager
from pydatatask_core.proc_manager.local_runs import LocalRuns
from pydatatask_core.proc_manager.supervisor import safe_name
from pydatatask_core.testing import ProcessManagerContract

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from pydatatask_core.proc_manager import Plan, Run


class Unbroken(LocalRuns):
    """As it should be."""


class Moving(LocalRuns):
    async def archive(self, run: Run, names: Collection[str], place: Path) -> None:
        await super().archive(run, names, place)
        for name in names:
            (run.directory / name).unlink()


class Adding(LocalRuns):
    async def archive(self, run: Run, names: Collection[str], place: Path) -> None:
        if await super().archived(place.parent) == {}:
            await super().archive(run, names, place)


class Forgiving(LocalRuns):
    async def archive(self, run: Run, names: Collection[str], place: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            await super().archive(run, names, place)


class Keeping(LocalRuns):
    async def unarchive(self, run: Run) -> None:
        pass


class Strict(LocalRuns):
    async def unarchive(self, run: Run) -> None:
        shutil.rmtree(run.directory)


class Absolute(LocalRuns):
    async def archived(self, folder: Path) -> dict[str, float] | None:
        ages = await super().archived(folder)
        return None if ages is None else dict.fromkeys(ages, 1.8e9)


class Literal(LocalRuns):
    async def archived(self, folder: Path) -> dict[str, float] | None:
        return {safe_name(job): age for job, age in (await super().archived(folder) or {}).items()}


class Beginning(LocalRuns):
    async def tail(self, run: Run, name: str, length: int) -> bytes:
        return (run.directory / name).read_bytes()[:length]


class Lax(LocalRuns):
    async def start(self, run: Run, plan: Plan) -> None:
        await super().start(run, dataclasses.replace(plan, shell=plan.shell or ("/bin/sh",)))


class WithoutPipes(LocalRuns):
    async def start(self, run: Run, plan: Plan) -> None:
        await super().start(run, dataclasses.replace(plan, shell=plan.shell or ("/bin/sh", "-eu")))


class Deaf(LocalRuns):
    async def start(self, run: Run, plan: Plan) -> None:
        await super().start(run, dataclasses.replace(plan, shell=None))


LAWS = {
    "streams_of_a_run_can_be_archived": (Moving, Adding, Keeping, Strict),
    "a_stream_that_is_not_there_is_not_archived": (Forgiving,),
    "what_is_archived_is_listed_with_its_age": (Absolute, Literal),
    "a_long_output_is_not_in_the_report": (Beginning,),
    "a_script_runs_strictly": (Lax, WithoutPipes),
    "the_shell_of_a_script_can_be_chosen": (Deaf,),
}


async def judge(law: str, kind: type[LocalRuns], place: Path) -> None:
    """Hold runs to a law."""
    manager = LocalLinuxManager("mutants", place)
    await manager.validate()
    manager._runs = kind(manager)
    test: Any = getattr(ProcessManagerContract(), f"test_{law}")
    await test(manager)


@pytest.mark.parametrize(
    ("law", "kind"), [(law, kind) for law, kinds in LAWS.items() for kind in kinds]
)
async def test_the_suite_notices(law: str, kind: type[LocalRuns], tmp_path: Path) -> None:
    await judge(law, Unbroken, tmp_path / "unbroken")
    with pytest.raises((AssertionError, OSError, pytest.fail.Exception)):
        await judge(law, kind, tmp_path / "broken")
