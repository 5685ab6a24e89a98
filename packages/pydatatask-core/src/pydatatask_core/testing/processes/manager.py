"""Conformance tests for process managers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pytest

from pydatatask_core.proc_manager import STDOUT
from pydatatask_core.testing.repositories.queries import failure_of

from .backend import BackendLaws, end_of_process
from .recovery import RecoveryLaws

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ProcessManagerContract"]

SHELL = "/bin/sh"

WAITS = "while [ ! -e go ]; do sleep 0.02; done"
"""A shell loop that ends when the test creates the file ``go``."""

HOSTILE_TEXT = (
    "",
    " two  spaces ",
    "line\nbreak",
    "quote ' and \" and \\ and `x` and $HOME and ${x}",
    "; exit 9 #",
    "* ? [a-z] ~ !x %s %d",
    "-n",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
)


class ProcessManagerContract(BackendLaws, RecoveryLaws):
    """Laws of any process manager and of its ``backend``.

    Override the fixture ``manager``: it returns a manager for a target with a POSIX shell, whose
    ``basedir`` exists, is empty, and is removed after the test. Each test ends the processes that
    it launches.
    """

    pytestmark = pytest.mark.asyncio

    restarts: ClassVar[bool] = True
    """True if another instance finds the processes again; requires :meth:`restart`."""

    many: ClassVar[int] = 24
    """The number of processes launched at once."""

    @pytest.fixture
    def manager(self) -> Any:
        """Return a validated process manager."""
        self._demand("the fixture `manager`: a validated process manager")

    async def restart(self, manager: Any) -> Any:
        """Return another instance for the same target, as after a restart of the driver.

        :param manager: The value of the fixture.
        """
        self._demand("the method `restart(manager)`: another instance for the same target")

    def _demand(self, what: str) -> NoReturn:
        pytest.fail(f"{type(self).__name__} must provide {what}", pytrace=False)

    # -- launching -------------------------------------------------------------------------------

    async def test_launching_does_not_wait_for_the_end(self, manager: Any) -> None:
        """T2: the process continues by itself."""
        place = await work_place(manager)
        handle = await launch(manager, place, WAITS)
        assert handle in await manager.get_live_pids({handle})
        await write_text(manager, place / "go", "")
        assert await result(manager, place, handle) == 0

    @pytest.mark.parametrize("code", [0, 1, 3, 124, 125, 126, 127, 255])
    async def test_the_exit_status_is_stored(self, manager: Any, code: int) -> None:
        """T2: completely, before the process counts as dead."""
        place = await work_place(manager)
        handle = await launch(manager, place, f"exit {code}")
        assert await result(manager, place, handle) == code

    @pytest.mark.parametrize("signal", ["TERM", "KILL", "SEGV"])
    async def test_a_killed_process_has_not_succeeded(self, manager: Any, signal: str) -> None:
        """T2: there is an exit status, however the process ended."""
        place = await work_place(manager)
        handle = await launch(manager, place, f"kill -{signal} $$; {WAITS}")
        assert await result(manager, place, handle) != 0

    async def test_a_missing_executable_is_an_error(self, manager: Any) -> None:
        """T2: raised at the launch, or stored as the exit status."""
        place = await work_place(manager)
        try:
            handle = await spawn(manager, place, ["/nonexistent/program"])
        except OSError:
            return
        assert await result(manager, place, handle) in (126, 127)

    @pytest.mark.parametrize("text", HOSTILE_TEXT, ids=ascii)
    async def test_arguments_are_passed_unchanged(self, manager: Any, text: str) -> None:
        """T2: no shell interprets them."""
        place = await work_place(manager)
        script = "printf '%s|' \"$@\""
        handle = await spawn(manager, place, [SHELL, "-c", script, "sh", text, "last"])
        assert await result(manager, place, handle) == 0
        assert await read_text(manager, place / "out") == f"{text}|last|"

    @pytest.mark.parametrize("text", HOSTILE_TEXT, ids=ascii)
    async def test_variables_are_added_to_the_environment(self, manager: Any, text: str) -> None:
        """T2: unchanged, and the variables of the target stay."""
        place = await work_place(manager)
        handle = await launch(
            manager, place, 'printf "%s|%s" "$ADDED" "${PATH:+path}"', environ={"ADDED": text}
        )
        assert await result(manager, place, handle) == 0
        assert await read_text(manager, place / "out") == f"{text}|path"

    async def test_the_process_runs_in_its_directory(self, manager: Any) -> None:
        """T2: relative paths are resolved against it."""
        place = await work_place(manager)
        handle = await launch(manager, place, "echo here >mark; pwd -P")
        assert await result(manager, place, handle) == 0
        assert await read_text(manager, place / "mark") == "here\n"
        assert (await read_text(manager, place / "out")).rstrip().endswith(place.name)

    async def test_streams_are_files(self, manager: Any) -> None:
        """T2: each stream has its own file."""
        place = await work_place(manager)
        await write_text(manager, place / "in", "to read\nmore\n")
        handle = await launch(manager, place, "cat; echo bad >&2", stdin="in", stderr="err")
        assert await result(manager, place, handle) == 0
        assert await read_text(manager, place / "out") == "to read\nmore\n"
        assert await read_text(manager, place / "err") == "bad\n"

    async def test_streams_without_a_file_are_dev_null(self, manager: Any) -> None:
        """T2: reading reaches the end at once, and writing succeeds."""
        place = await work_place(manager)
        script = "read -r line; echo lost; echo lost >&2; echo $? >mark"
        handle = await launch(manager, place, script, stdout=None)
        assert await result(manager, place, handle) == 0
        assert await read_text(manager, place / "mark") == "0\n"

    async def test_stderr_is_interleaved_with_stdout(self, manager: Any) -> None:
        """T2: in the order of writing."""
        place = await work_place(manager)
        script = "for i in 1 2 3; do echo out $i; echo err $i >&2; done"
        handle = await launch(manager, place, script, stderr=STDOUT)
        assert await result(manager, place, handle) == 0
        expected = "".join(f"out {i}\nerr {i}\n" for i in (1, 2, 3))
        assert await read_text(manager, place / "out") == expected

    async def test_each_of_many_concurrent_processes_has_its_own_status(self, manager: Any) -> None:
        """T1, T2: and its own identifier."""
        place = await work_place(manager)

        async def one(number: int) -> tuple[str, int]:
            own = place / str(number)
            await manager.mkdir(own)
            handle = await launch(manager, own, f"exit {number}")
            return handle, await result(manager, own, handle)

        found = await asyncio.gather(*(one(number) for number in range(self.many)))
        assert [code for _, code in found] == list(range(self.many))
        assert len({handle for handle, _ in found}) == self.many

    # -- live processes --------------------------------------------------------------------------

    async def test_only_live_processes_are_reported_as_live(self, manager: Any) -> None:
        """T3: for any set of requested identifiers."""
        place = await work_place(manager)
        live, dead = place / "live", place / "dead"
        await manager.mkdir(live)
        await manager.mkdir(dead)
        ended = await launch(manager, dead, "exit 0")
        backend = await launch(manager, live, WAITS)
        await result(manager, dead, ended)
        found = await manager.get_live_pids({ended, backend})
        assert found & {ended, backend} == {backend}
        assert backend not in await manager.get_live_pids(set()) - {backend}
        await write_text(manager, live / "go", "")
        await result(manager, live, backend)

    async def test_a_process_is_known_after_a_restart(self, manager: Any) -> None:
        """T1, T4: another driver knows only the identifier."""
        if not self.restarts:
            pytest.skip(f"{type(self).__name__}.restarts is False")
        place = await work_place(manager)
        handle = await launch(manager, place, WAITS)
        other = await self.restart(manager)
        assert handle in await other.get_live_pids({handle})
        await write_text(other, place / "go", "")
        assert await result(other, place, handle) == 0

    # -- killing ---------------------------------------------------------------------------------

    async def test_a_killed_process_is_dead_and_has_a_status(self, manager: Any) -> None:
        """T2: the status is stored although the process was killed."""
        place = await work_place(manager)
        handle = await launch(manager, place, WAITS)
        await manager.kill(handle)
        assert await result(manager, place, handle) != 0

    async def test_killing_a_process_that_has_exited_does_nothing(self, manager: Any) -> None:
        """T3: neither to the process nor to another one that has its number by now."""
        place = await work_place(manager)
        handle = await launch(manager, place, "exit 5")
        await result(manager, place, handle)
        await manager.kill(handle)
        assert await result(manager, place, handle) == 5  # noqa: PLR2004

    # -- files -----------------------------------------------------------------------------------

    @pytest.mark.parametrize("data", [b"", bytes(range(256)) * 5000], ids=len)
    async def test_a_file_is_read_as_it_was_written(self, manager: Any, data: bytes) -> None:
        """T2: byte for byte; writing replaces earlier contents."""
        place = await work_place(manager)
        for content in (b"something before" * 20, data):
            async with await manager.open(place / "file", "wb") as stream:
                await stream.write(content)
        async with await manager.open(place / "file", "rb") as stream:
            parts = []
            while part := await stream.read(100_000):
                assert len(part) <= 100_000  # noqa: PLR2004
                parts.append(part)
        assert b"".join(parts) == data

    async def test_text_is_utf8(self, manager: Any) -> None:
        """T2: newlines are not translated."""
        place, text = await work_place(manager), "caf\N{LATIN SMALL LETTER E WITH ACUTE}\r\n\n"
        await write_text(manager, place / "file", text)
        assert await read_text(manager, place / "file") == text
        async with await manager.open(place / "file", "rb") as stream:
            assert await stream.read() == text.encode()

    async def test_a_missing_file_is_an_error(self, manager: Any) -> None:
        """T2: it does not read as empty."""
        place = await work_place(manager)
        assert isinstance(await failure_of(manager.open(place / "absent", "rb")), OSError)

    async def test_directories_are_created_with_their_parents(self, manager: Any) -> None:
        """T2: existing directories are accepted."""
        place = await work_place(manager)
        for _ in range(2):
            await manager.mkdir(place / "a" / "b" / "c")
        await write_text(manager, place / "a" / "b" / "c" / "file", "x")
        assert await read_text(manager, place / "a" / "b" / "c" / "file") == "x"

    async def test_directories_are_removed_with_their_contents(self, manager: Any) -> None:
        """T2: and nothing beside them is removed."""
        place = await work_place(manager)
        await manager.mkdir(place / "a" / "b")
        await write_text(manager, place / "a" / "b" / "file", "x")
        await write_text(manager, place / "ab", "kept")
        await manager.rmtree(place / "a")
        assert isinstance(await failure_of(manager.open(place / "a" / "b" / "file", "rb")), OSError)
        assert await read_text(manager, place / "ab") == "kept"

    async def test_removing_a_directory_keeps_file_systems_mounted_in_it(
        self, manager: Any
    ) -> None:
        """T2: and the targets of links in it. Skipped if the target does not permit mounts."""
        place = await work_place(manager)
        await manager.mkdir(place / "a" / "mnt")
        await manager.mkdir(place / "kept")
        await write_text(manager, place / "kept" / "file", "x")
        mounting = "ln -s ../kept a/link && mount --bind kept a/mnt"
        if await result(manager, place, await launch(manager, place, mounting)) != 0:
            pytest.skip("this target does not permit mounts")
        try:
            assert isinstance(await failure_of(manager.rmtree(place / "a")), OSError)
            assert await read_text(manager, place / "kept" / "file") == "x"
        finally:
            await result(manager, place, await launch(manager, place, "umount a/mnt"))
        await manager.rmtree(place / "a")
        assert await read_text(manager, place / "kept" / "file") == "x"


async def work_place(manager: Any) -> Path:
    """Create a directory for a test."""
    place: Path = manager.basedir / "contract"
    await manager.mkdir(place)
    return place


async def spawn(
    manager: Any,
    place: Path,
    args: list[str],
    environ: dict[str, str] | None = None,
    stdin: str | None = None,
    stdout: str | None = "out",
    stderr: Any = None,
) -> str:
    """Launch a command in a directory; the streams are names of files in it."""

    def path(name: Any) -> Any:
        return str(place / name) if isinstance(name, str) else name

    handle = await manager.spawn(
        args, environ or {}, str(place), str(place / "rc"), path(stdin), path(stdout), path(stderr)
    )
    assert isinstance(handle, str)
    return handle


async def launch(manager: Any, place: Path, script: str, **options: Any) -> str:
    """Launch a shell script in a directory."""
    return await spawn(manager, place, [SHELL, "-c", script], **options)


async def result(manager: Any, place: Path, handle: str) -> int:
    """Wait for the end of a process, and return its exit status."""
    await end_of_process(manager, handle)
    return int(await read_text(manager, place / "rc"))


async def read_text(manager: Any, path: Path) -> str:
    """Read a file of the target."""
    async with await manager.open(path, "r") as stream:
        text: str = await stream.read()
        return text


async def write_text(manager: Any, path: Path, text: str) -> None:
    """Write a file of the target."""
    async with await manager.open(path, "w") as stream:
        await stream.write(text)
