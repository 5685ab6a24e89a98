"""The laws of run directories: what makes that a job is neither lost nor doubled."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.proc_manager import (
    STDOUT,
    LaunchSpec,
    ProcessRun,
    ProcessState,
    RunExistsError,
)
from pydatatask_core.proc_manager.process import MAX_INLINE_BYTES, TAIL_BYTES
from pydatatask_core.proc_manager.protocol.run_directory import STDERR, STDOUT_FILE, safe_name

if TYPE_CHECKING:
    from pathlib import Path

    from pydatatask_core.proc_manager import ProcessBackend, ProcessStatus

__all__ = ["BackendLaws"]

# It ends by itself after some minutes, should whoever runs the test be killed before it says go.
SPIN = "n=0; while [ ! -e go ] && [ $n -lt 9999 ]; do sleep 0.02; n=$((n + 1)); done"


class BackendLaws:
    """What holds for the ``runs`` of any manager.

    Those that only hold where a directory is made by one alone, and tells all, are skipped
    elsewhere: such a manager works, and loses what it launches when the driver dies.
    """

    async def test_a_run_gives_its_status_and_its_outputs(self, manager: Any) -> None:
        """T2: all there is to know, in one report."""
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

    async def test_a_script_names_its_interpreter(self, manager: Any) -> None:
        """T2: with at most one argument, as the kernel has it."""
        spec = LaunchSpec(b"#! /bin/sh -eu\nfalse\necho not reached\n", {}, stdout=True)
        status = await finished(manager.backend, new_run(manager), spec)
        assert status.return_code == 1
        assert status.outputs[STDOUT_FILE].data == b""

    async def test_streams_can_be_interleaved(self, manager: Any) -> None:
        """T2: then there is one of them."""
        spec = LaunchSpec(b"echo a; echo b >&2; echo c", {}, stdout=True, stderr=STDOUT)
        status = await finished(manager.backend, new_run(manager), spec)
        assert status.outputs[STDOUT_FILE].data == b"a\nb\nc\n"
        assert STDERR not in status.outputs

    async def test_a_long_output_is_not_in_the_report(self, manager: Any) -> None:
        """T2: its end is, and it can be streamed."""
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

    async def test_a_run_that_lives_is_reported_as_running(self, manager: Any) -> None:
        """T1: until it has ended."""
        backend, run = manager.backend, new_run(manager)
        spec = LaunchSpec(SPIN.encode(), {})
        await backend.create(run, spec)
        await backend.start(run, spec)
        assert await backend.exited([run]) == []
        assert (await backend.inspect(run)).state is ProcessState.RUNNING
        await say_go(manager, run)
        assert (await end_of(backend, run)).return_code == 0

    async def test_the_age_of_a_run_is_no_difference_of_two_clocks(self, manager: Any) -> None:
        """T2: a timeout is counted from when the process began, whatever clocks say."""
        backend, run = atomic_backend(manager), new_run(manager)
        spec = LaunchSpec(SPIN.encode(), {})
        began = time.monotonic()
        await backend.create(run, spec)
        await backend.start(run, spec)
        while (status := await backend.inspect(run)).age_seconds is None:
            assert status.state is ProcessState.RUNNING  # it is about to begin
            await asyncio.sleep(0.02)
        # Start times have a resolution of a hundredth of a second.
        assert 0 <= status.age_seconds <= time.monotonic() - began + 0.02
        await say_go(manager, run)
        await end_of(backend, run)

    async def test_who_does_not_listen_is_killed_with_all_its_children(self, manager: Any) -> None:
        """T2: and the report says why."""
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

    async def test_a_removed_run_leaves_nothing(self, manager: Any) -> None:
        """T2: and may be removed again."""
        backend, run = manager.backend, new_run(manager)
        await finished(
            backend, run, LaunchSpec(b"mkdir -p a/b; echo >a/b/c; chmod 0 a/b", {}, stdout=True)
        )
        await backend.remove(run)
        await backend.remove(run)
        assert not await exists(manager, run.directory / STDOUT_FILE)

    async def test_streams_of_a_run_can_be_archived(self, manager: Any) -> None:
        """T2: in the place of those that are there, as often as one likes, beyond the run."""
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

    async def test_a_stream_that_is_not_there_is_not_archived(self, manager: Any) -> None:
        """T2: which is an error."""
        backend, run = manager.backend, new_run(manager)
        await finished(backend, run, LaunchSpec(b"exit 1", {}))
        with pytest.raises(OSError, match="\\.stdout"):
            await backend.archive(run, [STDOUT_FILE], manager.basedir / "held" / "job")

    async def test_what_is_archived_is_listed_with_its_age(self, manager: Any) -> None:
        """T2: by the clock of the target."""
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

    async def test_a_script_runs_strictly(self, manager: Any) -> None:
        """T6: a command that fails ends it, also inside a pipe, and so does an unset variable."""
        for number, script in enumerate(("false | cat; echo no", "false; echo no", "echo $no")):
            run = new_run(manager, f"job{number}")
            status = await finished(
                manager.backend, run, LaunchSpec(script.encode(), {}, stdout=True)
            )
            assert status.return_code != 0
            assert status.outputs[STDOUT_FILE].data == b""

    async def test_the_shell_of_a_script_can_be_chosen(self, manager: Any) -> None:
        """T2: with arguments."""
        spec = LaunchSpec(b"echo $0; false; echo yes $-", {}, stdout=True, shell=("/bin/sh", "-f"))
        status = await finished(manager.backend, new_run(manager), spec)
        assert status.return_code == 0
        name, answer = (status.outputs[STDOUT_FILE].data or b"").decode().splitlines()
        assert name.endswith("/.script")
        assert answer == "yes f"

    # -- where a directory tells all -------------------------------------------------------------

    async def test_a_directory_is_made_once(self, manager: Any) -> None:
        """T1: of several that make it, one succeeds."""
        backend, spec = atomic_backend(manager), LaunchSpec(b"exit 0", {})
        made = await asyncio.gather(
            *(backend.create(new_run(manager), spec) for _ in range(8)), return_exceptions=True
        )
        assert sorted(type(outcome).__name__ for outcome in made) == sorted(
            ["NoneType", *[RunExistsError.__name__] * 7]
        )

    async def test_what_was_never_started_never_will_be(self, manager: Any) -> None:
        """T1, T4: who died between making and starting may have started it after all."""
        backend, run = atomic_backend(manager), new_run(manager)
        spec = LaunchSpec(b"echo ran >ran", {})
        await backend.create(run, spec)
        assert (await backend.inspect(new_run(manager), fence=False)).state is ProcessState.CREATED
        assert (await backend.inspect(new_run(manager))).state is ProcessState.NEVER_STARTED
        await backend.start(run, spec)
        assert (await end_of(backend, run)).state is ProcessState.NEVER_STARTED
        assert not await exists(manager, run.directory / "ran")

    async def test_either_it_runs_or_it_is_known_not_to(self, manager: Any) -> None:
        """T1: however close the two come to each other."""
        backend, spec = atomic_backend(manager), LaunchSpec(b"echo ran >ran", {})
        for number in range(12):
            run, other = new_run(manager, f"job{number}"), new_run(manager, f"job{number}")
            await backend.create(run, spec)
            _, status = await asyncio.gather(backend.start(run, spec), backend.inspect(other))
            ran = (await end_of(backend, run)).state is ProcessState.EXITED
            assert ran == (status.state is not ProcessState.NEVER_STARTED)
            assert ran == await exists(manager, run.directory / "ran")

    async def test_a_run_is_found_by_its_directory_alone(self, manager: Any) -> None:
        """T1, T4: another driver knows nothing else."""
        backend, run = atomic_backend(manager), new_run(manager)
        spec = LaunchSpec(SPIN.encode(), {}, stdout=True)
        await backend.create(run, spec)
        await backend.start(run, spec)
        assert await backend.list_directories(run.directory.parent) == {run.directory.name}
        found = new_run(manager)
        assert (await backend.inspect(found)).state in (
            ProcessState.RUNNING,
            ProcessState.NEVER_STARTED,
        )
        await say_go(manager, run)
        assert (await end_of(backend, found)).state in (
            ProcessState.EXITED,
            ProcessState.NEVER_STARTED,
        )

    async def test_no_directories_are_none(self, manager: Any) -> None:
        """T4: neither in a folder that does not exist."""
        backend = atomic_backend(manager)
        assert await backend.list_directories(manager.basedir / "absent") == set()
        assert (await backend.inspect(new_run(manager, "absent"))).state is ProcessState.MISSING

    async def test_killing_the_group_leaves_a_status(self, manager: Any) -> None:
        """T2: the supervisor is not one of it."""
        backend, run = atomic_backend(manager), new_run(manager)
        status = await finished(backend, run, LaunchSpec(b"kill -KILL -$$; sleep 600", {}))
        assert (status.state, status.return_code) == (ProcessState.EXITED, 137)

    async def test_who_outlives_its_supervisor_is_lost_only_at_its_end(self, manager: Any) -> None:
        """T1, T2: it lives as long as it does."""
        backend, run = atomic_backend(manager), new_run(manager)
        spec = LaunchSpec(f"kill -KILL $PPID; echo killed; {SPIN}".encode(), {}, stdout=True)
        await backend.create(run, spec)
        await backend.start(run, spec)
        await line_of(backend, manager, run)
        assert (await backend.inspect(run)).state is ProcessState.RUNNING
        await say_go(manager, run)
        status = await end_of(backend, run)
        assert status.state is ProcessState.LOST
        assert "supervisor" in str(status.reason)

    async def test_a_run_whose_directory_vanished_is_known_to_be_absent(self, manager: Any) -> None:
        """T2: which is the end of it."""
        backend, run = atomic_backend(manager), new_run(manager)
        spec = LaunchSpec(b'rm -rf "$PWD"', {}, stdout=True)
        assert (await finished(backend, run, spec)).state is ProcessState.MISSING

    async def test_a_script_that_cleans_up_is_not_run_again(self, manager: Any) -> None:
        """T1: what it can remove in its directory, it may."""
        backend, run = atomic_backend(manager), new_run(manager)
        status = await finished(backend, run, LaunchSpec(b"rm -rf ./*; exit 4", {}, stdout=True))
        assert (status.state, status.return_code) == (ProcessState.EXITED, 4)
        run = new_run(manager, "other")
        status = await finished(
            backend, run, LaunchSpec(b"find . -type f -delete", {}, stdout=True)
        )
        assert status.state in (
            ProcessState.LOST,
            ProcessState.EXITED,
        )  # whether its status is in there

    async def test_watching_tells_of_the_end(self, manager: Any) -> None:
        """P3: at once, also if it has ended already, and not after one has stopped."""
        backend, run, spec = atomic_backend(manager), new_run(manager), LaunchSpec(b"exit 0", {})
        told, other = asyncio.Event(), asyncio.Event()
        await backend.create(run, spec)
        await backend.start(run, spec)
        if (stop := backend.watch(run, other.set)) is None:
            pytest.skip("this manager does not watch")
        stop()
        assert backend.watch(run, told.set) is not None
        await told.wait()
        assert (await backend.inspect(run)).state is ProcessState.EXITED
        assert not other.is_set()

    async def test_a_memo_is_kept(self, manager: Any) -> None:
        """T2: until it is forgotten, whatever becomes of the directory."""
        backend, before = atomic_backend(manager), None
        for memo in ("1 first", "2 second", None, None):
            run = new_run(manager)
            run.note_path = manager.basedir / "memos" / "job"
            status = await finished(backend, run, LaunchSpec(b"exit 1", {}))
            assert status.note == before
            await backend.save_note(run, memo)
            await backend.remove(run)
            before = memo


def new_run(manager: Any, name: str = "job") -> ProcessRun:
    """Give the run of a name, as a driver that knows nothing else."""
    return ProcessRun(manager.basedir / "runs" / name, manager.backend.host)


def atomic_backend(manager: Any) -> ProcessBackend:
    """Give the runs of a manager whose directories tell all."""
    backend: ProcessBackend = manager.backend
    if not backend.atomic_create:
        pytest.skip("this manager knows its processes by their identifiers alone")
    return backend


async def finished(backend: ProcessBackend, run: ProcessRun, spec: LaunchSpec) -> ProcessStatus:
    """ProcessRun something to its end."""
    await backend.create(run, spec)
    await backend.start(run, spec)
    return await end_of(backend, run)


async def end_of(backend: ProcessBackend, run: ProcessRun) -> ProcessStatus:
    """Wait for the end of a run."""
    while True:
        if run in await backend.exited([run]):
            status = await backend.inspect(run, [STDOUT_FILE, STDERR])
            if status.state is not ProcessState.RUNNING:
                return status
        await asyncio.sleep(0.01)


async def say_go(manager: Any, run: ProcessRun) -> None:
    """Have a script go on that waits."""
    async with await manager.open(run.directory / "go", "w") as stream:
        await stream.write("")


async def line_of(backend: ProcessBackend, manager: Any, run: ProcessRun) -> bytes:
    """Wait for the first line of output of a run that lives."""
    text = b""
    while b"\n" not in text:
        await asyncio.sleep(0.01)
        with suppress(FileNotFoundError):  # its supervisor makes it
            async with await manager.open(run.directory / STDOUT_FILE, "rb") as stream:
                text = await stream.read()
    return text


async def exists(manager: Any, path: Path) -> bool:
    """Determine whether there is a file on the target."""
    try:
        async with await manager.open(path, "rb"):
            return True
    except OSError:
        return False


async def end_of_process(manager: Any, handle: str) -> None:
    """Wait for the end of what a manager has launched."""
    while True:
        if handle not in await manager.get_live_pids({handle}):
            return
        await asyncio.sleep(0.01)


async def end_of_child(manager: Any, place: Path, pid: str) -> None:
    """Wait for the end of any process of the target; a zombie has ended."""
    script = (
        f'while read -r _ _ state _ </proc/{pid}/stat && [ "$state" != Z ]; do sleep 0.02; done'
    )
    target = place.with_name(f"{place.name}.asks")
    await manager.mkdir(target)
    handle = await manager.spawn(
        ["/bin/sh", "-c", script], {}, str(target), str(target / "rc"), None, None, None
    )
    await end_of_process(manager, handle)
