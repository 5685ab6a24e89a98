"""Process managers that launch, list or end processes wrongly, or change files (T1 to T4)."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

from processes.plain import PlainManager

from pydatatask_core.proc_manager import STDOUT
from pydatatask_core.testing.processes.backend import end_of_process

from .harness import Mutants

MUTANTS = Mutants()
breaks = MUTANTS.breaks


class Wrapping(PlainManager):
    """A manager that passes each command line to a shell script of its own."""

    script = ""

    async def spawn(self, args: list[str], *more: Any) -> str:
        return await super().spawn(["/bin/sh", "-c", self.script, "sh", *args], *more)


class Changing(PlainManager):
    """A manager that changes the arguments of ``spawn``."""

    def change(self, names: dict[str, Any]) -> None:
        raise NotImplementedError

    async def spawn(self, *arguments: Any) -> str:
        keys = ("args", "environ", "cwd", "return_code", "stdin", "stdout", "stderr")
        names = dict(zip(keys, arguments, strict=True))
        self.change(names)
        return await super().spawn(**names)


# -- launching -------------------------------------------------------------------------------------


@breaks("T2", "launching_does_not_wait_for_the_end")
class ListsNoProcess(PlainManager):
    async def get_live_pids(self, hint: set[str]) -> set[str]:
        return set()


@breaks("T2", "the_exit_status_is_stored")
class StoresOnlyWhetherItFailed(Wrapping):
    script = '"$@"; [ $? = 0 ]'


@breaks("T2", "a_killed_process_has_not_succeeded")
class TakesASignalForSuccess(Wrapping):
    script = '"$@"; c=$?; [ $c -gt 128 ] && exit 0; exit $c'


@breaks("T2", "a_missing_executable_is_an_error")
class SkipsMissingExecutables(Wrapping):
    script = 'command -v "$1" >/dev/null || exit 0; exec "$@"'


@breaks("T2", "arguments_are_passed_unchanged")
class JoinsArguments(Changing):
    def change(self, names: dict[str, Any]) -> None:
        names["args"] = ["/bin/sh", "-c", " ".join(f'"{arg}"' for arg in names["args"])]


@breaks("T2", "variables_are_added_to_the_environment")
class StripsVariables(Changing):
    def change(self, names: dict[str, Any]) -> None:
        names["environ"] = {name: value.strip() for name, value in names["environ"].items()}


@breaks("T2", "the_process_runs_in_its_directory")
class RunsInTheParentDirectory(Changing):
    def change(self, names: dict[str, Any]) -> None:
        names["cwd"] = str(Path(names["cwd"]).parent)


@breaks("T2", "streams_are_files")
class IgnoresStdin(Changing):
    def change(self, names: dict[str, Any]) -> None:
        names["stdin"] = None


@breaks("T2", "streams_without_a_file_are_dev_null")
class ClosesStreamsWithoutAFile(Wrapping):
    script = 'exec "$@" 2>&-'


@breaks("T2", "stderr_is_interleaved_with_stdout")
class DiscardsInterleavedStderr(Changing):
    def change(self, names: dict[str, Any]) -> None:
        if names["stderr"] is STDOUT:
            names["stderr"] = None


@breaks("T1", "each_of_many_concurrent_processes_has_its_own_status")
class ShortensIdentifiers(PlainManager):
    async def get_live_pids(self, hint: set[str]) -> set[str]:
        return {handle[-1] for handle in self._live}

    async def spawn(self, *arguments: Any) -> str:
        return (await super().spawn(*arguments))[-1]


# -- live processes --------------------------------------------------------------------------------


@breaks("T3", "only_live_processes_are_reported_as_live")
class TrustsTheHint(PlainManager):
    async def get_live_pids(self, hint: set[str]) -> set[str]:
        return hint if len(hint) > 1 else await super().get_live_pids(hint)


@breaks("T1", "a_process_is_known_after_a_restart", restarts=True)
class KnowsOnlyItsOwnProcesses(PlainManager):
    """The next driver gets a manager without the state of this one."""


@breaks("T2", "a_killed_process_is_dead_and_has_a_status")
class StoresASuccessOfAKilledProcess(Changing):
    def change(self, names: dict[str, Any]) -> None:
        self.status = Path(names["return_code"])

    async def kill(self, pid: str) -> None:
        await super().kill(pid)
        await end_of_process(self, pid)
        await asyncio.to_thread(self.status.write_text, "0")


@breaks("T3", "killing_a_process_that_has_exited_does_nothing")
class RefusesToKillTheDead(PlainManager):
    async def kill(self, pid: str) -> None:
        if pid not in self._live:
            raise ProcessLookupError(f"there is no process {pid}")
        await super().kill(pid)


# -- files -----------------------------------------------------------------------------------------


@breaks("T2", "a_file_is_read_as_it_was_written")
class AppendsToFiles(PlainManager):
    async def open(self, path: Path, mode: str) -> Any:
        stream = await super().open(path, mode)
        if mode == "wb":
            await stream.write(await asyncio.to_thread(_content, path))
        return stream


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


class _UniversalNewlines:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def read(self, n: int | None = None) -> str:
        text: str = await self._stream.read(n)
        return text.replace("\r\n", "\n")

    async def __aenter__(self) -> _UniversalNewlines:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self._stream.close()


@breaks("T2", "text_is_utf8")
class TranslatesNewlines(PlainManager):
    async def open(self, path: Path, mode: str) -> Any:
        stream = await super().open(path, mode)
        return _UniversalNewlines(stream) if mode == "r" else stream


@breaks("T2", "a_missing_file_is_an_error")
class ReadsMissingFilesAsEmpty(PlainManager):
    async def open(self, path: Path, mode: str) -> Any:
        if "r" in mode:
            await asyncio.to_thread(path.touch)
        return await super().open(path, mode)


@breaks("T2", "directories_are_created_with_their_parents")
class CreatesOneLevel(PlainManager):
    async def mkdir(self, path: Path) -> None:
        await asyncio.to_thread(path.mkdir, exist_ok=True)


@breaks("T2", "directories_are_removed_with_their_contents")
class RemovesByPrefix(PlainManager):
    async def rmtree(self, path: Path) -> None:
        for match in path.parent.glob(f"{path.name}*"):
            if match.is_dir():
                await super().rmtree(match)
            else:
                match.unlink()


@breaks("T2", "removing_a_directory_keeps_file_systems_mounted_in_it")
class EntersMounts(PlainManager):
    async def rmtree(self, path: Path) -> None:
        await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
