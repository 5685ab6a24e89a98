"""``export``: write all values of a repository to files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pydatatask_cli import output
from pydatatask_cli.app import App, pass_app
from pydatatask_cli.byte_streams import CHUNK_BYTES
from pydatatask_cli.command import Command
from pydatatask_cli.errors import CommandLineError
from pydatatask_cli.lookup import find_data
from pydatatask_cli.shell_completion import complete_data

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline
    from pydatatask_core.repository import Repository

__all__ = ["command", "export_data"]


async def export_data(pipeline: Pipeline, data: str, folder: Path) -> tuple[int, list[str]]:
    """Write all values of a repository to a folder: blobs unchanged, metadata as YAML.

    A file appears when it is complete, and replaces a file of the same name. If a value cannot be
    read, or YAML cannot represent it, the other values are still written.

    :param pipeline: an open pipeline.
    :param data: the repository, as ``task.link``.
    :param folder: the folder, which is created if it is missing.
    :return: the number of values written, and an error for each value that could not be written.
    :raises CommandLineError: if there is no such repository, or its values cannot be written.
    """
    from pydatatask_core.errors import MalformedValueError, UnsupportedValueError
    from pydatatask_core.repository import (
        BlobRepository,
        FileRepository,
        MetadataRepository,
        YamlMetadataFileRepository,
        encode_metadata,
    )

    repo = find_data(pipeline, data).repo
    jobs = sorted(await repo.keys())
    errors: list[str] = []
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    if isinstance(repo, MetadataRepository):
        target = YamlMetadataFileRepository(folder)
        for job in jobs:
            target.check_job_id(job)
            try:
                value = encode_metadata(job, target, await repo.info(job))
            except (MalformedValueError, UnsupportedValueError) as e:
                errors.append(str(e))
                continue
            async with await target.open(job, "wb") as sink:
                await sink.write(value)
    elif isinstance(repo, BlobRepository):
        blobs = FileRepository(folder, _extension(repo))
        for job in jobs:
            async with await repo.open(job, "rb") as source, await blobs.open(job, "wb") as sink:
                while block := await source.read(CHUNK_BYTES):
                    await sink.write(block)
    else:
        raise CommandLineError(
            f"{data} cannot be exported: the values of {repo!r} are neither bytes nor metadata"
        )
    return len(jobs) - len(errors), errors


def _extension(repo: Repository) -> str:
    extension = getattr(repo, "extension", "")
    return extension if isinstance(extension, str) else ""


@click.command("export", cls=Command, examples=("export count.reports reports/",))
@click.argument("data", shell_complete=complete_data)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@pass_app
def command(app: App, data: str, folder: Path) -> None:
    """Write all values of a repository to a folder.

    Each job becomes a file with its name: a blob unchanged, metadata as YAML. `inject DATA --from
    FOLDER` is the reverse. If a value cannot be written as YAML, the others are still written, and
    the exit status is 1.
    """
    count, errors = app.run(
        lambda pipeline: export_data(pipeline, data, folder), "read", data=[data]
    )
    output.print_info(f"{count} values of {data} were written to {folder}")
    output.print_errors_and_exit(errors)
