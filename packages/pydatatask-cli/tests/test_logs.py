"""The output of jobs of any ``LoggingTask``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pydatatask_cli.byte_streams import CHUNK_BYTES
from pydatatask_cli.commands.logs import print_logs
from pydatatask_cli.errors import CommandLineError
from pydatatask_core import (
    InProcessBlobRepository,
    InProcessMetadataRepository,
    Pipeline,
)
from pydatatask_core.task import LoggingTask, Task

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from pydatatask_core import BlobRepository


class Silent(Task):
    """A task that shows live jobs but does not keep their output."""

    def __init__(self) -> None:
        super().__init__("task")
        self.live = InProcessMetadataRepository()
        self.done = InProcessMetadataRepository()
        self.link("live", self.live, is_status=True, inhibits_start=True, inhibits_output=True)
        self.link_outcomes("done", self.done)

    async def update(self) -> bool:
        return False

    async def launch(self, job: str) -> None:
        raise NotImplementedError


class Writing(Silent, LoggingTask):
    """A task that implements ``LoggingTask``."""

    text = b"until now\n"
    rest = b"and on\n"

    def __init__(self) -> None:
        super().__init__()
        self.texts, self.more = InProcessBlobRepository(), InProcessBlobRepository()

    @property
    def log_repositories(self) -> Sequence[BlobRepository]:
        return self.texts, self.more

    async def stream_logs(self, job: str, *, follow: bool = False) -> AsyncGenerator[bytes, None]:
        if self.text:
            yield self.text
        if follow:
            yield self.rest
        if not self.text:
            del self.live.data[job]


async def _logs(task: Task, capfd: pytest.CaptureFixture[str], **options: Any) -> str:
    async with Pipeline([task]) as pipeline:
        await print_logs(pipeline, "task", "job", **options)
    return capfd.readouterr().out


@pytest.mark.parametrize("follow", [False, True])
async def test_the_output_of_a_live_job_is_read_from_where_it_runs(
    capfd: pytest.CaptureFixture[str], follow: bool
) -> None:
    task = Writing()
    task.live.data["job"] = {}
    task.texts.data["job"] = b"by an attempt before"

    shown = await _logs(task, capfd, follow=follow)

    assert shown == "until now\n" + "and on\n" * follow


async def test_all_published_output_of_an_ended_job_is_read(
    capfd: pytest.CaptureFixture[str],
) -> None:
    task = Writing()
    task.texts.data["job"] = b"out\n"
    task.more.data["job"] = b"err\n"

    task.link("texts", task.texts, is_output=True)
    task.link("more", task.more, is_output=True)

    assert await _logs(task, capfd) == "==> texts <==\nout\n\n==> more <==\nerr\n"


@pytest.mark.parametrize(
    ("texts", "tail", "shown"),
    [
        (b"out", None, "out"),
        (b"", "oh no", "oh no"),
        (b"out", "oh no", "==> texts <==\nout\n\n==> stderr <==\noh no\n"),
    ],
)
async def test_nonempty_streams_have_headings_if_there_are_several(
    capfd: pytest.CaptureFixture[str], texts: bytes, tail: str | None, shown: str
) -> None:
    task = Writing()
    task.link("texts", task.texts, is_output=True)
    task.texts.data["job"] = texts
    task.done.data["job"] = {"success": True, "stderr_tail": tail}

    assert await _logs(task, capfd) == shown


async def test_a_long_stream_is_printed_completely(capfd: pytest.CaptureFixture[str]) -> None:
    task = Writing()
    task.texts.data["job"] = b"x" * (CHUNK_BYTES + 5)

    assert len(await _logs(task, capfd)) == CHUNK_BYTES + 5


async def test_if_a_job_ends_before_it_can_be_read_its_published_output_is_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    task = Writing()
    task.text = b""
    task.live.data["job"] = {}
    task.texts.data["job"] = b"out\n"

    assert await _logs(task, capfd) == "out\n"


async def test_a_known_job_without_output_is_reported(
    capfd: pytest.CaptureFixture[str],
) -> None:
    task = Writing()
    task.texts.data["job"] = b""

    assert await _logs(task, capfd) == ""


async def test_a_live_job_without_output_is_reported_as_live(
    capfd: pytest.CaptureFixture[str],
) -> None:
    task = Writing()
    task.text = b""
    task.stream_logs = _nothing  # type: ignore[method-assign]
    await task.live.dump("job", {})
    async with Pipeline([task]) as pipeline:
        await print_logs(pipeline, "task", "job")
    assert capfd.readouterr().err == "job 'job' of task is live and has written nothing yet\n"


async def _nothing(job: str, *, follow: bool = False) -> AsyncGenerator[bytes, None]:
    return
    yield b""


async def test_a_task_that_keeps_no_output_of_live_jobs_is_reported(
    capfd: pytest.CaptureFixture[str],
) -> None:
    task = Silent()
    task.live.data["job"] = {}

    with pytest.raises(CommandLineError, match="cannot be read while a job runs"):
        await _logs(task, capfd)
