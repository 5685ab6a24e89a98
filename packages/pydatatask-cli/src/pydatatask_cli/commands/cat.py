"""``cat``: print a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pydatatask_cli import output
from pydatatask_cli.app import App, pass_app
from pydatatask_cli.byte_streams import CHUNK_BYTES, Output
from pydatatask_cli.command import Command
from pydatatask_cli.errors import CommandLineError
from pydatatask_cli.lookup import find_data
from pydatatask_cli.shell_completion import complete_data, complete_job

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline

__all__ = ["cat_data", "command"]


async def cat_data(pipeline: Pipeline, data: str, job: str, *, as_json: bool = False) -> None:
    """Print a value to standard output: a blob unchanged, metadata as YAML.

    On a terminal, control characters of the value are escaped.

    :param pipeline: an open pipeline.
    :param data: the repository, as ``task.link``.
    :param job: the job.
    :param as_json: whether to print metadata as JSON.
    :raises CommandLineError: if there is no such repository, or its values cannot be printed.
    :raises JobNotFoundError: if it has no such job.
    """
    from pydatatask_core.errors import JobNotFoundError, UnsupportedValueError
    from pydatatask_core.repository import BlobRepository, MetadataRepository
    from pydatatask_core.repository.snapshot import View

    repo = find_data(pipeline, data).repo
    metadata = isinstance(repo, MetadataRepository | View)
    if isinstance(repo, BlobRepository) and not (as_json and metadata):
        if as_json:
            raise CommandLineError(f"{data} holds bytes, which JSON cannot represent; omit --json")
        out = Output()
        async with await repo.open(job, "rb") as stream:
            while block := await stream.read(CHUNK_BYTES):
                await out.write(block)
        await out.close()
        return
    if not metadata:
        raise CommandLineError(
            f"{data} cannot be printed: the values of {repo!r} are neither bytes nor metadata"
        )
    repo.check_job_id(job)
    if not await repo.contains(job):
        raise JobNotFoundError(job, repo)
    value = await repo.info(job)
    if as_json:
        output.print_json(value)
        return
    from pydatatask_core.repository import encode_metadata

    try:
        text = encode_metadata(job, repo, value)
    except UnsupportedValueError as e:
        raise CommandLineError(
            f"the value of job {job!r} in {data} cannot be printed as YAML: {e.problem}; "
            "use --json to print it with its unsupported types as strings"
        ) from None
    out = Output()
    await out.write(text)
    await out.close()


@click.command(
    "cat",
    cls=Command,
    examples=(
        "cat count.texts book1",
        "cat count.done book1 --json",
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print metadata as JSON.")
@click.argument("data", shell_complete=complete_data)
@click.argument("job", shell_complete=complete_job)
@pass_app
def command(app: App, as_json: bool, data: str, job: str) -> None:
    """Print a value from a repository.

    DATA is `TASK.LINK`. A blob is printed unchanged, whatever its size; metadata is printed as
    YAML, or as JSON with --json (times in ISO 8601, bytes in base64, types of the store as text).
    On a terminal, control characters and bytes that are not UTF-8 are escaped.
    """
    app.run(lambda pipeline: cat_data(pipeline, data, job, as_json=as_json), "read", data=[data])
