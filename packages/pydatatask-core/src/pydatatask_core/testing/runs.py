"""The laws of run directories: what makes that a job is neither lost nor doubled."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_core.proc_manager import STDOUT, Plan, Run, RunExistsError, State
from pydatatask_core.proc_manager.run import INLINE, TAIL
from pydatatask_core.proc_manager.supervisor import STDERR, STDOUT_FILE, safe_name

if TYPE_CHECKING:
    from pathlib import Path

    from pydatatask_core.proc_manager import Report, Runs

__all__ = ["RunLaws"]

# It ends by itself after some minutes, should whoever runs the test be killed before it says go.
SPIN = "n=0; while [ ! -e go ] && [ $n -lt 9999 ]; do sleep 0.02; n=$((n + 1)); done"


class RunLaws:
    """What holds for the ``runs`` of any manager.

    Those that only hold where a directory is made by one alone, and tells all, are skipped
    elsewhere: such a manager works, and loses what it launches when the driver dies.
    """

    async def test_a_run_gives_its_status_and_its_outputs(self, manager: Any) -> None:
        """T2: all there is to know, in one report."""
        runs, run = manager.runs, new_run(manager)
        plan = Plan(
            b'read -r line; echo "got $line $ADDED"; echo bad >&2; exit 3',
            {"ADDED": "a b"},
            stdin=b"input\n",
            has_stdin=True,
            stdout=True,
            stderr=True,
        )
        report = await finished(runs, run, plan)
        assert (report.state, report.return_code) == (State.ENDED, 3)
        assert report.outputs[STDOUT_FILE].data == b"got input a b\n"
        assert report.outputs[STDERR].data == b"bad\n"
        assert report.ended is not None

    async def test_a_script_names_its_interpreter(self, manager: Any) -> None:
        """T2: with at most one argument, as the kernel has it."""
        plan = Plan(b"#! /bin/sh -eu\nfalse\necho not reached\n", {}, stdout=True)
        report = await finished(manager.runs, new_run(manager), plan)
        assert report.return_code == 1
        assert report.outputs[STDOUT_FILE].data == b""

    async def test_streams_can_be_interleaved(self, manager: Any) -> None:
        """T2: then there is one of them."""
        plan = Plan(b"echo a; echo b >&2; echo c", {}, stdout=True, stderr=STDOUT)
        report = await finished(manager.runs, new_run(manager), plan)
        assert report.outputs[STDOUT_FILE].data == b"a\nb\nc\n"
        assert STDERR not in report.outputs

    async def test_a_long_output_is_not_in_the_report(self, manager: Any) -> None:
        """T2: its end is, and it can be streamed."""
        size = 5 * INLINE
        script = f"head -c {size} /dev/zero | tr '\\0' x; echo; printf end"
        runs, run = manager.runs, new_run(manager)
        report = await finished(runs, run, Plan(script.encode(), {}, stdout=True))
        output = report.outputs[STDOUT_FILE]
        assert (output.size, output.data, len(output.tail)) == (size + 4, None, TAIL)
        assert output.tail.endswith(b"xxx\nend")
        for length, expected in ((5, b"x\nend"), (2 * size, b"x" * size + b"\nend")):
            assert await runs.tail(run, STDOUT_FILE, length) == expected
        read = 0
        async with await runs.read(run, STDOUT_FILE) as stream:
            while block := await stream.read(INLINE):
                read += len(block)
        assert read == size + 4

    async def test_a_run_that_lives_is_reported_as_running(self, manager: Any) -> None:
        """T1: until it has ended."""
        runs, run = manager.runs, new_run(manager)
        plan = Plan(SPIN.encode(), {})
        await runs.make(run, plan)
        await runs.start(run, plan)
        assert await runs.poll([run]) == []
        assert (await runs.report(run)).state is State.RUNNING
        await say_go(manager, run)
        assert (await end_of(runs, run)).return_code == 0

    async def test_the_age_of_a_run_is_no_difference_of_two_clocks(self, manager: Any) -> None:
        """T2: a timeout is counted from when the process began, whatever clocks say."""
        runs, run = exclusive(manager), new_run(manager)
        plan = Plan(SPIN.encode(), {})
        began = time.monotonic()
        await runs.make(run, plan)
        await runs.start(run, plan)
        while (report := await runs.report(run)).age is None:
            assert report.state is State.RUNNING  # it is about to begin
            await asyncio.sleep(0.02)
        # Start times have a resolution of a hundredth of a second.
        assert 0 <= report.age <= time.monotonic() - began + 0.02
        await say_go(manager, run)
        await end_of(runs, run)

    async def test_who_does_not_listen_is_killed_with_all_its_children(self, manager: Any) -> None:
        """T2: and the report says why."""
        runs, run = manager.runs, new_run(manager)
        plan = Plan(b"trap '' TERM; sleep 600 & echo $!; sleep 600; sleep 600", {}, stdout=True)
        await runs.make(run, plan)
        await runs.start(run, plan)
        child = (await line_of(runs, manager, run)).decode().strip()
        while (report := await runs.report(run, [STDOUT_FILE])).state is State.RUNNING:
            await runs.stop(run, "timed out after 1 s", force=True)
            await asyncio.sleep(0.02)
        assert report.stopped == "timed out after 1 s"
        assert report.return_code != 0
        await end_of_child(manager, run.directory, child)
        assert not await runs.stop(run, "too late", force=True)

    async def test_a_removed_run_leaves_nothing(self, manager: Any) -> None:
        """T2: and may be removed again."""
        runs, run = manager.runs, new_run(manager)
        await finished(runs, run, Plan(b"mkdir -p a/b; echo >a/b/c; chmod 0 a/b", {}, stdout=True))
        await runs.remove(run)
        await runs.remove(run)
        assert not await exists(manager, run.directory / STDOUT_FILE)

    async def test_streams_of_a_run_can_be_archived(self, manager: Any) -> None:
        """T2: in the place of those that are there, as often as one likes, beyond the run."""
        runs, place = manager.runs, manager.basedir / "held" / "job"
        for text in ("first", "second"):
            run = new_run(manager, text)
            script = f"echo {text}; echo {text} error >&2".encode()
            await finished(runs, run, Plan(script, {}, stdout=True, stderr=True))
            for _ in range(2):
                await runs.archive(run, [STDOUT_FILE, STDERR], place)
            assert (await runs.report(run, [STDOUT_FILE])).outputs.keys() == {STDOUT_FILE}
            await runs.remove(run)
            for name, expected in ((STDOUT_FILE, f"{text}\n"), (STDERR, f"{text} error\n")):
                async with await runs.read(Run(place, runs.host), name) as stream:
                    assert (await stream.read()).decode() == expected
        for _ in range(2):
            await runs.unarchive(Run(place, runs.host))
        assert not await exists(manager, place / STDOUT_FILE)

    async def test_a_stream_that_is_not_there_is_not_archived(self, manager: Any) -> None:
        """T2: which is an error."""
        runs, run = manager.runs, new_run(manager)
        await finished(runs, run, Plan(b"exit 1", {}))
        with pytest.raises(OSError, match="\\.stdout"):
            await runs.archive(run, [STDOUT_FILE], manager.basedir / "held" / "job")

    async def test_what_is_archived_is_listed_with_its_age(self, manager: Any) -> None:
        """T2: by the clock of the target."""
        runs, folder = manager.runs, manager.basedir / "held"
        if await runs.archived(folder) is None:
            pytest.skip("this manager does not list")
        assert await runs.archived(folder) == {}
        run = new_run(manager)
        await finished(runs, run, Plan(b"echo x", {}, stdout=True))
        await runs.archive(run, [STDOUT_FILE], folder / safe_name("a/b"))
        ages = await runs.archived(folder)
        assert ages.keys() == {"a/b"}
        assert -2.0 < ages["a/b"] < 60.0  # noqa: PLR2004

    async def test_a_script_runs_strictly(self, manager: Any) -> None:
        """T6: a command that fails ends it, also inside a pipe, and so does an unset variable."""
        for number, script in enumerate(("false | cat; echo no", "false; echo no", "echo $no")):
            run = new_run(manager, f"job{number}")
            report = await finished(manager.runs, run, Plan(script.encode(), {}, stdout=True))
            assert report.return_code != 0
            assert report.outputs[STDOUT_FILE].data == b""

    async def test_the_shell_of_a_script_can_be_chosen(self, manager: Any) -> None:
        """T2: with arguments."""
        plan = Plan(b"echo $0; false; echo yes $-", {}, stdout=True, shell=("/bin/sh", "-f"))
        report = await finished(manager.runs, new_run(manager), plan)
        assert report.return_code == 0
        name, answer = (report.outputs[STDOUT_FILE].data or b"").decode().splitlines()
        assert name.endswith("/.script")
        assert answer == "yes f"

    # -- where a directory tells all -------------------------------------------------------------

    async def test_a_directory_is_made_once(self, manager: Any) -> None:
        """T1: of several that make it, one succeeds."""
        runs, plan = exclusive(manager), Plan(b"exit 0", {})
        made = await asyncio.gather(
            *(runs.make(new_run(manager), plan) for _ in range(8)), return_exceptions=True
        )
        assert sorted(type(outcome).__name__ for outcome in made) == sorted(
            ["NoneType", *[RunExistsError.__name__] * 7]
        )

    async def test_what_was_never_started_never_will_be(self, manager: Any) -> None:
        """T1, T4: who died between making and starting may have started it after all."""
        runs, run = exclusive(manager), new_run(manager)
        plan = Plan(b"echo ran >ran", {})
        await runs.make(run, plan)
        assert (await runs.report(new_run(manager), claim=False)).state is State.PREPARED
        assert (await runs.report(new_run(manager))).state is State.NOT_STARTED
        await runs.start(run, plan)
        assert (await end_of(runs, run)).state is State.NOT_STARTED
        assert not await exists(manager, run.directory / "ran")

    async def test_either_it_runs_or_it_is_known_not_to(self, manager: Any) -> None:
        """T1: however close the two come to each other."""
        runs, plan = exclusive(manager), Plan(b"echo ran >ran", {})
        for number in range(12):
            run, other = new_run(manager, f"job{number}"), new_run(manager, f"job{number}")
            await runs.make(run, plan)
            _, report = await asyncio.gather(runs.start(run, plan), runs.report(other))
            ran = (await end_of(runs, run)).state is State.ENDED
            assert ran == (report.state is not State.NOT_STARTED)
            assert ran == await exists(manager, run.directory / "ran")

    async def test_a_run_is_found_by_its_directory_alone(self, manager: Any) -> None:
        """T1, T4: another driver knows nothing else."""
        runs, run = exclusive(manager), new_run(manager)
        plan = Plan(SPIN.encode(), {}, stdout=True)
        await runs.make(run, plan)
        await runs.start(run, plan)
        assert await runs.found(run.directory.parent) == {run.directory.name}
        found = new_run(manager)
        assert (await runs.report(found)).state in (State.RUNNING, State.NOT_STARTED)
        await say_go(manager, run)
        assert (await end_of(runs, found)).state in (State.ENDED, State.NOT_STARTED)

    async def test_no_directories_are_none(self, manager: Any) -> None:
        """T4: neither in a folder that does not exist."""
        runs = exclusive(manager)
        assert await runs.found(manager.basedir / "absent") == set()
        assert (await runs.report(new_run(manager, "absent"))).state is State.ABSENT

    async def test_killing_the_group_leaves_a_status(self, manager: Any) -> None:
        """T2: the supervisor is not one of it."""
        runs, run = exclusive(manager), new_run(manager)
        report = await finished(runs, run, Plan(b"kill -KILL -$$; sleep 600", {}))
        assert (report.state, report.return_code) == (State.ENDED, 137)

    async def test_who_outlives_its_supervisor_is_lost_only_at_its_end(self, manager: Any) -> None:
        """T1, T2: it lives as long as it does."""
        runs, run = exclusive(manager), new_run(manager)
        plan = Plan(f"kill -KILL $PPID; echo killed; {SPIN}".encode(), {}, stdout=True)
        await runs.make(run, plan)
        await runs.start(run, plan)
        await line_of(runs, manager, run)
        assert (await runs.report(run)).state is State.RUNNING
        await say_go(manager, run)
        report = await end_of(runs, run)
        assert report.state is State.LOST
        assert "supervisor" in str(report.reason)

    async def test_a_run_whose_directory_vanished_is_known_to_be_absent(self, manager: Any) -> None:
        """T2: which is the end of it."""
        runs, run = exclusive(manager), new_run(manager)
        plan = Plan(b'rm -rf "$PWD"', {}, stdout=True)
        assert (await finished(runs, run, plan)).state is State.ABSENT

    async def test_a_script_that_cleans_up_is_not_run_again(self, manager: Any) -> None:
        """T1: what it can remove in its directory, it may."""
        runs, run = exclusive(manager), new_run(manager)
        report = await finished(runs, run, Plan(b"rm -rf ./*; exit 4", {}, stdout=True))
        assert (report.state, report.return_code) == (State.ENDED, 4)
        run = new_run(manager, "other")
        report = await finished(runs, run, Plan(b"find . -type f -delete", {}, stdout=True))
        assert report.state in (State.LOST, State.ENDED)  # whether its status is in there

    async def test_watching_tells_of_the_end(self, manager: Any) -> None:
        """P3: at once, also if it has ended already, and not after one has stopped."""
        runs, run, plan = exclusive(manager), new_run(manager), Plan(b"exit 0", {})
        told, other = asyncio.Event(), asyncio.Event()
        await runs.make(run, plan)
        await runs.start(run, plan)
        if (stop := runs.watch(run, other.set)) is None:
            pytest.skip("this manager does not watch")
        stop()
        assert runs.watch(run, told.set) is not None
        await told.wait()
        assert (await runs.report(run)).state is State.ENDED
        assert not other.is_set()

    async def test_a_memo_is_kept(self, manager: Any) -> None:
        """T2: until it is forgotten, whatever becomes of the directory."""
        runs, before = exclusive(manager), None
        for memo in ("1 first", "2 second", None, None):
            run = new_run(manager)
            run.memo = manager.basedir / "memos" / "job"
            report = await finished(runs, run, Plan(b"exit 1", {}))
            assert report.memo == before
            await runs.remember(run, memo)
            await runs.remove(run)
            before = memo


def new_run(manager: Any, name: str = "job") -> Run:
    """Give the run of a name, as a driver that knows nothing else."""
    return Run(manager.basedir / "runs" / name, manager.runs.host)


def exclusive(manager: Any) -> Runs:
    """Give the runs of a manager whose directories tell all."""
    runs: Runs = manager.runs
    if not runs.exclusive:
        pytest.skip("this manager knows its processes by their identifiers alone")
    return runs


async def finished(runs: Runs, run: Run, plan: Plan) -> Report:
    """Run something to its end."""
    await runs.make(run, plan)
    await runs.start(run, plan)
    return await end_of(runs, run)


async def end_of(runs: Runs, run: Run) -> Report:
    """Wait for the end of a run."""
    while True:
        if run in await runs.poll([run]):
            report = await runs.report(run, [STDOUT_FILE, STDERR])
            if report.state is not State.RUNNING:
                return report
        await asyncio.sleep(0.01)


async def say_go(manager: Any, run: Run) -> None:
    """Have a script go on that waits."""
    async with await manager.open(run.directory / "go", "w") as stream:
        await stream.write("")


async def line_of(runs: Runs, manager: Any, run: Run) -> bytes:
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
