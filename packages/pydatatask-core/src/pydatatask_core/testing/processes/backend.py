"""Laws of process backends: no job is lost, and no job runs twice."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from pydatatask_core.proc_manager import STDOUT, LaunchSpec, ProcessRun, ProcessState
from pydatatask_core.proc_manager.process import MAX_INLINE_BYTES, TAIL_BYTES
from pydatatask_core.proc_manager.protocol.run_directory import STDERR, STDOUT_FILE, safe_name

if TYPE_CHECKING:
    from pathlib import Path

    from pydatatask_core.proc_manager import ProcessBackend, ProcessStatus

__all__ = ["BackendLaws"]

# The script exits by itself after some minutes, in case the tests are killed before `go` exists.
SPIN = "n=0; while [ ! -e go ] && [ $n -lt 9999 ]; do sleep 0.02; n=$((n + 1)); done"


class BackendLaws:
    """Laws of the ``backend`` of any process manager."""

    waits_for_session: ClassVar[bool] = True
    """False if a job counts as ended although processes of its session are alive (T8)."""

    async def test_a_status_has_the_exit_code_and_the_outputs(self, manager: Any) -> None:
        """T2: one status contains everything that is known about the process."""
        backend, run = manager.backend, new_run(manager)
        spec = LaunchSpec(
            b'read -r line; echo "got $line $ADDED"; echo bad >&2; exit 3',
            {"ADDED": "a b"},
            stdin=b"input\n",
            has_stdin=True,
            stdout=True,
            stderr=True,
        )
        status = await finished(backend, run, spec)
        assert (status.state, status.return_code) == (ProcessState.EXITED, 3)
        assert status.outputs[STDOUT_FILE].data == b"got input a b\n"
        assert status.outputs[STDERR].data == b"bad\n"
        assert status.end_time is not None

    async def test_a_shebang_selects_the_interpreter(self, manager: Any) -> None:
        """T2: with at most one argument, as in the kernel."""
        spec = LaunchSpec(b"#! /bin/sh -eu\nfalse\necho not reached\n", {}, stdout=True)
        status = await finished(manager.backend, new_run(manager), spec)
        assert status.return_code == 1
        assert status.outputs[STDOUT_FILE].data == b""

    async def test_stdout_and_stderr_can_be_interleaved(self, manager: Any) -> None:
        """T2: the output is then a single stream."""
        spec = LaunchSpec(b"echo a; echo b >&2; echo c", {}, stdout=True, stderr=STDOUT)
        status = await finished(manager.backend, new_run(manager), spec)
        assert status.outputs[STDOUT_FILE].data == b"a\nb\nc\n"
        assert STDERR not in status.outputs

    async def test_a_status_has_only_the_tail_of_a_long_output(self, manager: Any) -> None:
        """T2: the whole output can be streamed."""
        size = 5 * MAX_INLINE_BYTES
        script = f"head -c {size} /dev/zero | tr '\\0' x; echo; printf end"
        backend, run = manager.backend, new_run(manager)
        status = await finished(backend, run, LaunchSpec(script.encode(), {}, stdout=True))
        output = status.outputs[STDOUT_FILE]
        assert (output.size, output.data, len(output.tail)) == (size + 4, None, TAIL_BYTES)
        assert output.tail.endswith(b"xxx\nend")
        for length, expected in ((5, b"x\nend"), (2 * size, b"x" * size + b"\nend")):
            assert await backend.read_tail(run, STDOUT_FILE, length) == expected
        read = 0
        async with await backend.open_output(run, STDOUT_FILE) as stream:
            while block := await stream.read(MAX_INLINE_BYTES):
                read += len(block)
        assert read == size + 4

    async def test_a_live_process_is_reported_as_running(self, manager: Any) -> None:
        """T1: until it has exited."""
        backend, run = manager.backend, new_run(manager)
        spec = LaunchSpec(SPIN.encode(), {})
        await backend.create(run, spec)
        await backend.start(run, spec)
        assert await backend.exited([run]) == []
        assert (await backend.inspect(run)).state is ProcessState.RUNNING
        await say_go(manager, run)
        assert (await end_of(backend, run)).return_code == 0

    async def test_a_process_ignoring_sigterm_is_killed_with_children(self, manager: Any) -> None:
        """T2: the status contains the reason."""
        backend, run = manager.backend, new_run(manager)
        spec = LaunchSpec(
            b"trap '' TERM; sleep 600 & echo $!; sleep 600; sleep 600", {}, stdout=True
        )
        await backend.create(run, spec)
        await backend.start(run, spec)
        child = (await line_of(backend, manager, run)).decode().strip()
        while (status := await backend.inspect(run, [STDOUT_FILE])).state is ProcessState.RUNNING:
            await backend.terminate(run, "timed out after 1 s", force=True)
            await asyncio.sleep(0.02)
        assert status.stop_reason == "timed out after 1 s"
        assert status.return_code != 0
        await end_of_child(manager, run.directory, child)
        assert not await backend.terminate(run, "too late", force=True)

    async def test_a_removed_run_directory_leaves_nothing(self, manager: Any) -> None:
        """T2: removing it a second time succeeds."""
        backend, run = manager.backend, new_run(manager)
        await finished(
            backend, run, LaunchSpec(b"mkdir -p a/b; echo >a/b/c; chmod 0 a/b", {}, stdout=True)
        )
        await backend.remove(run)
        await backend.remove(run)
        assert not await exists(manager, run.directory / STDOUT_FILE)

    async def test_streams_can_be_archived(self, manager: Any) -> None:
        """T2: archiving replaces earlier streams, can be repeated, and outlives the directory."""
        backend, place = manager.backend, manager.basedir / "held" / "job"
        for text in ("first", "second"):
            run = new_run(manager, text)
            script = f"echo {text}; echo {text} error >&2".encode()
            await finished(backend, run, LaunchSpec(script, {}, stdout=True, stderr=True))
            for _ in range(2):
                await backend.archive(run, [STDOUT_FILE, STDERR], place)
            assert (await backend.inspect(run, [STDOUT_FILE])).outputs.keys() == {STDOUT_FILE}
            await backend.remove(run)
            for name, expected in ((STDOUT_FILE, f"{text}\n"), (STDERR, f"{text} error\n")):
                async with await backend.open_output(
                    ProcessRun(place, backend.host), name
                ) as stream:
                    assert (await stream.read()).decode() == expected
        for _ in range(2):
            await backend.remove_archive(ProcessRun(place, backend.host))
        assert not await exists(manager, place / STDOUT_FILE)

    async def test_archiving_a_missing_stream_is_an_error(self, manager: Any) -> None:
        """T2: it is not replaced by an empty file."""
        backend, run = manager.backend, new_run(manager)
        await finished(backend, run, LaunchSpec(b"exit 1", {}))
        with pytest.raises(OSError, match="\\.stdout"):
            await backend.archive(run, [STDOUT_FILE], manager.basedir / "held" / "job")

    async def test_archived_streams_are_listed_with_their_age(self, manager: Any) -> None:
        """T2: the age is measured by the clock of the target."""
        backend, folder = manager.backend, manager.basedir / "held"
        if await backend.list_archives(folder) is None:
            pytest.skip("this manager does not list")
        assert await backend.list_archives(folder) == {}
        run = new_run(manager)
        await finished(backend, run, LaunchSpec(b"echo x", {}, stdout=True))
        await backend.archive(run, [STDOUT_FILE], folder / safe_name("a/b"))
        ages = await backend.list_archives(folder)
        assert ages.keys() == {"a/b"}
        assert -2.0 < ages["a/b"] < 60.0  # noqa: PLR2004

    async def test_a_script_stops_at_the_first_error(self, manager: Any) -> None:
        """T6: a failed command, also inside a pipe, or an unset variable ends the script."""
        for number, script in enumerate(("false | cat; echo no", "false; echo no", "echo $no")):
            run = new_run(manager, f"job{number}")
            status = await finished(
                manager.backend, run, LaunchSpec(script.encode(), {}, stdout=True)
            )
            assert status.return_code != 0
            assert status.outputs[STDOUT_FILE].data == b""

    async def test_the_shell_of_a_script_can_be_chosen(self, manager: Any) -> None:
        """T2: with arguments of its own."""
        spec = LaunchSpec(b"echo $0; false; echo yes $-", {}, stdout=True, shell=("/bin/sh", "-f"))
        status = await finished(manager.backend, new_run(manager), spec)
        assert status.return_code == 0
        name, answer = (status.outputs[STDOUT_FILE].data or b"").decode().splitlines()
        assert name.endswith("/.script")
        assert answer == "yes f"

    async def test_a_job_is_over_when_all_processes_of_its_session_are(self, manager: Any) -> None:
        """T8: the status of the script is not reported before."""
        if not self.waits_for_session:
            pytest.skip(f"{type(self).__name__}.waits_for_session is False")
        backend, run = manager.backend, new_run(manager)
        script = f"set -m; ({SPIN}) >/dev/null 2>&1 & echo $$; exit 3"
        spec = LaunchSpec(script.encode(), {}, stdout=True)
        await backend.create(run, spec)
        await backend.start(run, spec)
        shell = (await line_of(backend, manager, run)).decode().strip()
        await end_of_child(manager, run.directory, shell)
        # A backend that breaks this law needs a moment to report the end: that of another job.
        await finished(backend, new_run(manager, "other"), LaunchSpec(b"exit 0", {}))
        for _ in range(20):
            assert (await backend.inspect(run)).state is ProcessState.RUNNING
            await asyncio.sleep(0.02)
        await say_go(manager, run)
        assert (await end_of(backend, run)).return_code == 3  # noqa: PLR2004


def new_run(manager: Any, name: str = "job") -> ProcessRun:
    """Return the run directory of a name, without the state of earlier objects."""
    return ProcessRun(manager.basedir / "runs" / name, manager.backend.host)


async def finished(backend: ProcessBackend, run: ProcessRun, spec: LaunchSpec) -> ProcessStatus:
    """Run a process to its end, and return its status."""
    await backend.create(run, spec)
    await backend.start(run, spec)
    return await end_of(backend, run)


async def end_of(backend: ProcessBackend, run: ProcessRun) -> ProcessStatus:
    """Wait for the end of a process, and return its status."""
    while True:
        if run in await backend.exited([run]):
            status = await backend.inspect(run, [STDOUT_FILE, STDERR])
            if status.state is not ProcessState.RUNNING:
                return status
        await asyncio.sleep(0.01)


async def say_go(manager: Any, run: ProcessRun) -> None:
    """Resume a waiting script."""
    async with await manager.open(run.directory / "go", "w") as stream:
        await stream.write("")


async def line_of(backend: ProcessBackend, manager: Any, run: ProcessRun) -> bytes:
    """Wait for the first line of output of a running process."""
    text = b""
    while b"\n" not in text:
        await asyncio.sleep(0.01)
        with suppress(FileNotFoundError):  # the supervisor creates it
            async with await manager.open(run.directory / STDOUT_FILE, "rb") as stream:
                text = await stream.read()
    return text


async def exists(manager: Any, path: Path) -> bool:
    """Check whether a file exists on the target."""
    try:
        async with await manager.open(path, "rb"):
            return True
    except OSError:
        return False


async def end_of_process(manager: Any, handle: str) -> None:
    """Wait until a process launched through the manager has exited."""
    while True:
        if handle not in await manager.get_live_pids({handle}):
            return
        await asyncio.sleep(0.01)


async def end_of_child(manager: Any, place: Path, pid: str) -> None:
    """Wait for the end of any process of the target; a zombie counts as ended."""
    script = (
        f'while read -r _ _ state _ </proc/{pid}/stat && [ "$state" != Z ]; do sleep 0.02; done'
    )
    target = place.with_name(f"{place.name}.asks")
    await manager.mkdir(target)
    handle = await manager.spawn(
        ["/bin/sh", "-c", script], {}, str(target), str(target / "rc"), None, None, None
    )
    await end_of_process(manager, handle)
