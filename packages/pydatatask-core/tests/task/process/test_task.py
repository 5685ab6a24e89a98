"""Running scripts as process tasks, and the records of their outcomes."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from processes.lab import until

from pydatatask_core import (
    STDOUT,
    InProcessBlobRepository,
    InProcessMetadataRepository,
    Resources,
    Template,
    YamlMetadataFileRepository,
)
from pydatatask_core.errors import TaskConfigurationError, TaskError, TemplateError
from pydatatask_core.proc_manager.local import backend

if TYPE_CHECKING:
    from processes.lab import Lab


async def test_a_failed_script_is_recorded_with_its_error_output(lab: Lab) -> None:
    await lab.add("a")
    summary = await lab.run(lab.task("echo working\necho 'went wrong' >&2\nexit 3"))
    record = await lab.done.info("a")
    assert summary.failed == {"task": ["a"]}
    assert (record["success"], record["return_code"]) == (False, 3)
    assert (record["reason"], record["stderr_tail"]) == ("exit status 3", "went wrong\n")
    assert lab.empty()


async def test_a_killed_script_is_recorded_with_the_signal(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task("kill -KILL $$"))
    record = await lab.done.info("a")
    assert (record["success"], record["return_code"]) == (False, 137)
    assert record["signal"] == "SIGKILL"
    assert record["reason"] == "killed by SIGKILL (exit status 137)"


@pytest.mark.parametrize(
    "victim", ["pid=$PPID", "read -r _ _ _ pid _ </proc/$PPID/stat"], ids=["inner", "outer"]
)
async def test_a_job_with_one_of_its_two_supervisors_killed_is_not_lost(
    lab: Lab, victim: str
) -> None:
    await lab.add("a")
    await lab.run(lab.task(f"echo ran >>LOG; {victim}; kill -KILL $pid; exit 3"))
    assert (await lab.done.info("a"))["return_code"] == 3
    assert lab.lines() == ["ran"]
    assert lab.empty()


async def test_a_job_whose_supervisors_are_both_killed_is_lost(lab: Lab) -> None:
    await lab.add("a")
    both = "read -r _ _ _ outer _ </proc/$PPID/stat; kill -KILL $outer $PPID"
    await lab.run(lab.task(f"echo ran >>LOG; {both}", stdout=lab.out))
    record = await lab.done.info("a")
    assert record["success"] is False
    assert record["lost"] is True
    assert record["return_code"] is None
    assert "supervisor was killed" in record["reason"]
    assert lab.lines() == ["ran"]
    assert lab.empty()


async def test_a_record_holds_the_resources_that_the_process_has_used(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task("n=0; while [ $n -lt 20000 ]; do n=$((n + 1)); done"))
    record = await lab.done.info("a")
    assert 0 < record["user_time"] + record["system_time"] < 60
    assert 2**19 < record["peak_memory"] < 2**30
    assert "ended_processes" not in record


def exists(pid: str) -> bool:
    return Path(f"/proc/{pid}").exists()


LEAVES_ONE_BEHIND = "(trap '' TERM; WAIT; echo end >>LOG) & echo $! >>LOG"


async def test_processes_left_behind_are_ended_and_counted_in_the_record(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "GRACE_SECONDS", 0.1)
    await lab.add("a")
    await lab.run(lab.task(LEAVES_ONE_BEHIND))
    record = await lab.done.info("a")
    assert (record["success"], record["return_code"]) == (True, 0)
    assert record["ended_processes"] >= 1
    [pid] = lab.lines()
    assert not exists(pid)


async def test_a_detached_job_is_over_although_it_leaves_processes_behind(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task(LEAVES_ONE_BEHIND, detach=True))
    assert (await lab.done.info("a"))["success"] is True
    [pid] = lab.lines()
    assert exists(pid)
    lab.go.touch()

    async def ended() -> bool:
        return "end" in lab.lines()

    await until(ended)


async def test_a_flag_of_another_type_is_refused(lab: Lab) -> None:
    with pytest.raises(TaskConfigurationError, match="detach has to be True or False, not 'yes'"):
        lab.task("true", detach="yes")


async def test_the_end_of_long_error_output_is_kept(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task("seq 100000 >&2; echo the end >&2; false"))
    tail = (await lab.done.info("a"))["stderr_tail"]
    assert len(tail) == 4096
    assert tail.endswith("100000\nthe end\n")


async def test_interleaved_error_output_of_a_failure_is_kept(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task("echo out; echo err >&2; false", stderr=STDOUT))
    assert (await lab.done.info("a"))["stdout_tail"] == "out\nerr\n"


async def test_output_that_cannot_be_decoded_can_be_recorded(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task(r"printf 'a\377\000\033b' >&2; false"))
    assert (await lab.done.info("a"))["stderr_tail"] == "a\N{REPLACEMENT CHARACTER}\0\x1bb"


async def test_a_successful_script_is_recorded(lab: Lab) -> None:
    await lab.add("a")
    before = datetime.now(UTC)
    summary = await lab.run(lab.task("echo fine >&2"))
    record = await lab.done.info("a")
    assert summary.launched == {"task": 1}
    assert summary.failed == {}
    assert (record["success"], record["return_code"], record["attempt"]) == (True, 0, 1)
    assert not record.keys() & {"reason", "signal", "lost", "stdout_tail"}
    assert record["stderr_tail"] == "fine\n"
    start, end = record["start_time"], record["end_time"]
    slack = timedelta(seconds=0.1)  # the clock of a file system has a lower resolution
    assert before <= start <= end + slack <= datetime.now(UTC) + slack
    assert start.tzinfo is not None
    assert record["duration"] == pytest.approx(max(0, (end - start).total_seconds()))
    assert lab.empty()


async def test_outputs_are_published(lab: Lab) -> None:
    await lab.add("a", "b")
    template = "echo out of {{ job }}; echo err of {{ job }} >&2"
    await lab.run(lab.task(template, stdout=lab.out, stderr=lab.err))
    assert [await lab.text(lab.out, job) for job in "ab"] == ["out of a\n", "out of b\n"]
    assert [await lab.text(lab.err, job) for job in "ab"] == ["err of a\n", "err of b\n"]


async def test_stderr_is_interleaved_into_stdout(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task("echo 1; echo 2 >&2; echo 3", stdout=lab.out, stderr=STDOUT)
    await lab.run(task)
    assert await lab.text(lab.out) == "1\n2\n3\n"
    assert task.stderr is lab.out


async def test_stdin_is_copied_before_the_script_starts(lab: Lab) -> None:
    await lab.add("a", content="some input\n")
    await lab.run(lab.task("cat; echo end", stdin=lab.inp, stdout=lab.out))
    assert await lab.text(lab.out) == "some input\nend\n"


async def test_without_an_input_link_stdin_is_empty(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task("cat; echo end", stdout=lab.out))
    assert await lab.text(lab.out) == "end\n"


@pytest.mark.parametrize("size", [65536, 65537, 300_000])
async def test_long_streams_pass_through_any_repository(lab: Lab, size: int) -> None:
    source, target = InProcessBlobRepository(), InProcessBlobRepository()
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    async with await source.open("a", "wb") as stream:
        await stream.write(data)
    await lab.add("a")
    await lab.run(lab.task("cat", stdin=source, stdout=target))
    assert target.data["a"] == data


async def test_the_shebang_is_honoured(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task("#!/usr/bin/env python3\nprint('python', 1 + 1)\n", stdout=lab.out))
    assert await lab.text(lab.out) == "python 2\n"


async def test_a_script_may_call_itself(lab: Lab) -> None:
    await lab.add("a")
    await lab.run(lab.task('#!/bin/sh\n[ "$1" ] || exec "$0" again\necho $1', stdout=lab.out))
    assert await lab.text(lab.out) == "again\n"


async def test_environment_variables_are_added_to_those_of_the_driver(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEPT", "kept")
    await lab.add("a")
    task = lab.task('echo "$ADDED|$KEPT"', environ={"ADDED": "a b 'c'"}, stdout=lab.out)
    await lab.run(task)
    assert await lab.text(lab.out) == "a b 'c'|kept\n"


async def test_each_script_runs_in_its_own_directory(lab: Lab) -> None:
    await lab.add("a", "b")
    await lab.run(lab.task("ls; echo {{ job }} >mark; cat *", stdout=lab.out))
    assert [await lab.text(lab.out, job) for job in "ab"] == ["a\n", "b\n"]


async def test_templates_see_only_the_links_that_they_name(lab: Lab, tmp_path: Path) -> None:
    class Untouched(InProcessMetadataRepository):
        async def info(self, job: str) -> Any:
            raise AssertionError("this link must not be read")

    template = tmp_path / "script.sh"
    template.write_text("cat {{ inp | quote }}\necho {{ task }} {{ job }} {{ more.x | quote }}\n")
    more = InProcessMetadataRepository({"a": {"x": "it's"}})
    await lab.add("a")
    task = lab.task(template, stdout=lab.out)
    task.link("more", more)
    task.link("other", Untouched())
    await lab.run(task)
    assert await lab.text(lab.out) == "input of a\ntask a it's\n"


async def test_a_template_that_cannot_be_rendered_launches_nothing(lab: Lab, caplog: Any) -> None:
    await lab.add("a")
    task = lab.task("echo {{ inp.size }}")
    with pytest.raises(
        TemplateError, match=r"'str object' has no attribute 'size'; defined names: .*inp"
    ):
        await task.launch("a")
    assert lab.directories() == []
    assert await lab.pids.keys() == set()
    assert not task.running
    with caplog.at_level(logging.ERROR):
        summary = await lab.run(task)
    assert summary.given_up == {"task": ["a"]}
    assert caplog.text.count("'str object' has no attribute 'size'") == 1
    assert lab.empty()


async def test_an_undefined_name_is_found_at_opening_and_reported_once(lab: Lab) -> None:
    await lab.add("a", "b")
    with pytest.raises(TemplateError, match=r"task: its template uses `imp` \(line 1\)") as caught:
        await lab.run(lab.task("echo {{ imp }} {{ imp | quote }}"))
    assert str(caught.value).count("imp") == 1


async def test_an_environment_variable_that_looks_like_a_template_causes_a_warning(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    environ = {"NAME": "x-{{ job }}", "FORMAT": "{{ .Names }} {{ other }}", "PLAIN": "job"}
    async with lab.pipeline(lab.task("true", environ=environ)):
        pass
    told = [message for message in caplog.messages if "environment variable" in message]
    assert len(told) == 1
    assert "task: the environment variable NAME contains 'x-{{ job }}'" in told[0]


async def test_text_before_the_shebang_is_removed(lab: Lab) -> None:
    await lab.add("a")
    script = """
    #!/usr/bin/env python3
    for text in ["{{ job }}", "b"]:
        print(text)
    """
    await lab.run(lab.task(script, stdout=lab.out))
    assert await lab.text(lab.out) == "a\nb\n"


async def test_a_template_with_custom_delimiters_is_accepted(lab: Lab) -> None:
    await lab.add("a")
    script = "#!/bin/bash\na=(1 2 3)\necho ${#a[@]} {{ job }} <# ${x#} #>\n"
    template = Template(script, comment_start_string="<#", comment_end_string="#>")
    await lab.run(lab.task(template, stdout=lab.out))
    assert await lab.text(lab.out) == "3 a\n"


async def test_changing_or_removing_a_template_file_after_opening_has_no_effect(lab: Lab) -> None:
    path = lab.root / "script"
    path.write_text("cat {{ inp | quote }}")
    await lab.add("a", "b")
    task = lab.task(path, stdout=lab.out)
    async with lab.pipeline(task) as pipeline:
        path.write_text("echo other")
        await task.launch("a")
        path.unlink()
        await pipeline.run(poll=0.05)
    assert [await lab.text(lab.out, job) for job in "ab"] == ["input of a\n", "input of b\n"]


async def test_a_malformed_template_is_found_at_opening(lab: Lab) -> None:
    with pytest.raises(TemplateError, match=r"task: .* line 2"):
        await lab.run(lab.task("echo\n{% if %}"))


async def test_a_missing_input_launches_nothing(lab: Lab) -> None:
    task = lab.task("cat", stdin=lab.inp)
    with pytest.raises(FileNotFoundError):
        await task.launch("a")
    assert lab.directories() == []
    assert not task.running


async def test_a_job_is_not_launched_twice(lab: Lab) -> None:
    await lab.add("a")
    task = lab.task("echo ran >>LOG; WAIT")
    await task.launch("a")
    with pytest.raises(TaskError, match="'a' is running already"):
        await task.launch("a")
    lab.go.touch()
    await lab.quiet(task)
    assert lab.lines() == ["ran"]


async def test_concurrent_launches_of_a_job_start_it_once(lab: Lab) -> None:
    import asyncio

    await lab.add("a")
    task = lab.task("echo ran >>LOG")
    results = await asyncio.gather(*(task.launch("a") for _ in range(5)), return_exceptions=True)
    await lab.quiet(task)
    assert [type(result) for result in results].count(TaskError) == 4
    assert lab.lines() == ["ran"]


async def test_a_failed_job_does_not_start_the_next_stage(lab: Lab) -> None:
    await lab.add("good", "bad")
    first = lab.task("echo {{ job }}; [ {{ job }} = good ]", "first", stdout=lab.out)
    second = lab.task(
        "cat {{ stdout }} >>LOG",
        "second",
        pids=YamlMetadataFileRepository(lab.root / "pids2"),
        done=YamlMetadataFileRepository(lab.root / "done2"),
    )
    second.plug(first)
    await lab.run(first, second)
    assert lab.lines() == ["good"]
    assert await lab.out.keys() == {"good"}


async def test_without_done_the_outputs_mark_finished_jobs(lab: Lab, caplog: Any) -> None:
    await lab.add("good", "bad")
    task = lab.task("echo {{ job }} >>LOG; echo {{ job }}; [ {{ job }} = good ]",
                    stdout=lab.out, done=None)  # fmt: skip
    with caplog.at_level(logging.WARNING):
        await lab.run(task)
        await lab.run(task)
    assert await lab.out.keys() == {"good"}
    assert lab.lines() == ["bad", "bad", "good"]
    kept = next((lab.root / "processes").glob("*/*/*/failed/bad/.stdout"))
    assert kept.read_text() == "bad\n"
    assert str(kept.parent) in caplog.text
    assert lab.empty()


async def test_without_metadata_done_is_not_written(lab: Lab) -> None:
    await lab.add("a")
    pipeline = lab.pipeline(lab.task("echo x", stdout=lab.out))
    pipeline.settings(metadata=False)
    async with pipeline:
        await pipeline.run(launch_once=True, poll=0.05)
    assert await lab.done.keys() == set()
    assert await lab.text(lab.out) == "x\n"


async def test_synchronous_launches_wait_for_the_end(lab: Lab) -> None:
    await lab.add("a", "b")
    task = lab.task("echo {{ job }}; [ {{ job }} = a ]", stdout=lab.out)
    pipeline = lab.pipeline(task)
    pipeline.settings(synchronous=True)
    async with pipeline:
        await pipeline.update_only_launch()
        assert not task.running
        assert (await lab.done.info("a"))["success"] is True
        assert (await lab.done.info("b"))["success"] is False
    assert lab.empty()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"timeout": 0}, "timeout"),
        ({"timeout": timedelta(seconds=-1)}, "timeout"),
        ({"environ": {"a=b": "c"}}, "'a=b'"),
        ({"environ": {"a": 1}}, "variable a"),
        ({"manager": 5}, "callable"),
        ({"job_resources": 5}, "job_resources"),
        ({"retries": -1}, "retries"),
        *(
            ({name: InProcessMetadataRepository()}, f"{name}: streams")
            for name in ("stdin", "stdout", "stderr")
        ),
    ],
)
def test_invalid_options_are_rejected(lab: Lab, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskConfigurationError, match=message):
        lab.task("true", **wrong)


async def test_a_request_above_the_quota_is_rejected_at_opening(lab: Lab) -> None:
    with pytest.raises(
        TaskConfigurationError, match="ever be launched, because one takes 5 CPU, 1"
    ):
        await lab.run(lab.task("true", job_resources=Resources.parse(5, 1)))


async def test_the_base_directory_is_inside_that_of_the_manager(lab: Lab) -> None:
    task = lab.task("true", "some task")
    assert task.basedir == lab.manager.basedir / "some task"
