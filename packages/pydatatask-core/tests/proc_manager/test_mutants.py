"""The suite of process managers detects backends that archive output or start scripts wrongly."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core import LocalLinuxManager
from pydatatask_core.proc_manager.local.backend import LocalBackend
from pydatatask_core.proc_manager.protocol.run_directory import safe_name
from pydatatask_core.testing import ProcessManagerContract

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from pydatatask_core.proc_manager import LaunchSpec, ProcessRun


class Unbroken(LocalBackend):
    """The correct backend."""


class Moving(LocalBackend):
    async def archive(self, run: ProcessRun, names: Collection[str], place: Path) -> None:
        await super().archive(run, names, place)
        for name in names:
            (run.directory / name).unlink()


class Adding(LocalBackend):
    async def archive(self, run: ProcessRun, names: Collection[str], place: Path) -> None:
        if await super().list_archives(place.parent) == {}:
            await super().archive(run, names, place)


class Forgiving(LocalBackend):
    async def archive(self, run: ProcessRun, names: Collection[str], place: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            await super().archive(run, names, place)


class Keeping(LocalBackend):
    async def remove_archive(self, run: ProcessRun) -> None:
        pass


class Strict(LocalBackend):
    async def remove_archive(self, run: ProcessRun) -> None:
        shutil.rmtree(run.directory)


class Absolute(LocalBackend):
    async def list_archives(self, folder: Path) -> dict[str, float] | None:
        ages = await super().list_archives(folder)
        return None if ages is None else dict.fromkeys(ages, 1.8e9)


class Literal(LocalBackend):
    async def list_archives(self, folder: Path) -> dict[str, float] | None:
        return {
            safe_name(job): age for job, age in (await super().list_archives(folder) or {}).items()
        }


class Beginning(LocalBackend):
    async def read_tail(self, run: ProcessRun, name: str, length: int) -> bytes:
        return (run.directory / name).read_bytes()[:length]


class Lax(LocalBackend):
    async def start(self, run: ProcessRun, spec: LaunchSpec) -> None:
        await super().start(run, dataclasses.replace(spec, shell=spec.shell or ("/bin/sh",)))


class WithoutPipes(LocalBackend):
    async def start(self, run: ProcessRun, spec: LaunchSpec) -> None:
        await super().start(run, dataclasses.replace(spec, shell=spec.shell or ("/bin/sh", "-eu")))


class Deaf(LocalBackend):
    async def start(self, run: ProcessRun, spec: LaunchSpec) -> None:
        await super().start(run, dataclasses.replace(spec, shell=None))


LAWS = {
    "streams_can_be_archived": (Moving, Adding, Keeping, Strict),
    "archiving_a_missing_stream_is_an_error": (Forgiving,),
    "archived_streams_are_listed_with_their_age": (Absolute, Literal),
    "a_status_has_only_the_tail_of_a_long_output": (Beginning,),
    "a_script_stops_at_the_first_error": (Lax, WithoutPipes),
    "the_shell_of_a_script_can_be_chosen": (Deaf,),
}


async def judge(law: str, kind: type[LocalBackend], place: Path) -> None:
    """Test a backend against a law."""
    manager = LocalLinuxManager("mutants", place)
    await manager.validate()
    manager._backend = kind(manager)
    test: Any = getattr(ProcessManagerContract(), f"test_{law}")
    await test(manager)


@pytest.mark.parametrize(
    ("law", "kind"), [(law, kind) for law, kinds in LAWS.items() for kind in kinds]
)
async def test_the_suite_notices(law: str, kind: type[LocalBackend], tmp_path: Path) -> None:
    await judge(law, Unbroken, tmp_path / "unbroken")
    with pytest.raises((AssertionError, OSError, pytest.fail.Exception)):
        await judge(law, kind, tmp_path / "broken")
