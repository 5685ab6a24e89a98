"""``inject``: write a value by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pydatatask_cli.app import App, pass_app
from pydatatask_cli.byte_streams import CHUNK_BYTES, FileInput
from pydatatask_cli.command import Command
from pydatatask_cli.errors import CommandLineError
from pydatatask_cli.lookup import find_data
from pydatatask_cli.output import print_info
from pydatatask_cli.shell_completion import complete_data, complete_job
from pydatatask_cli.write_checks import check_outlives_process

if TYPE_CHECKING:
    from os import PathLike

    from pydatatask_core.pipeline import Pipeline
    from pydatatask_core.repository import Repository

__all__ = ["command", "inject_data", "inject_folder", "put"]

_MAX_NAMES = 5
"""The maximum number of links in a message."""


async def inject_data(
    pipeline: Pipeline, data: str, job: str, *, file: str | PathLike[str] | None = None
) -> None:
    """Write a value into a repository: bytes unchanged, metadata from YAML or JSON.

    After an error or interruption, nothing is written.

    :param pipeline: an open pipeline.
    :param data: the repository, as ``task.link``.
    :param job: the job.
    :param file: the file to read; standard input by default.
    :raises CommandLineError: if there is no such repository, or it cannot be written.
    :raises MalformedValueError: if metadata does not parse; it names line and column.
    """
    source_stream = find_data(pipeline, data)
    source_stream.repo.check_job_id(job)
    async with FileInput(file) as source:
        await put(source_stream.repo, data, job, source)


async def put(repo: Repository, data: str, job: str, source: FileInput) -> None:
    """Write the content of a stream into a repository.

    :param repo: the repository, which is created if it is missing.
    :param data: its name.
    :param job: the job.
    :param source: the stream.
    """
    from pydatatask_core.repository import BlobRepository, MetadataRepository

    if isinstance(repo, MetadataRepository):
        from pydatatask_core.repository.metadata_yaml import decode_metadata

        value = decode_metadata(job, repo, await source.read())
        await repo.validate()
        await repo.dump(job, value)
    elif isinstance(repo, BlobRepository):
        await repo.validate()
        async with await repo.open(job, "wb") as stream:
            while block := await source.read(CHUNK_BYTES):
                await stream.write(block)
    else:
        raise CommandLineError(
            f"nothing can be injected into {data}: the values of {repo!r} are neither bytes nor "
            "metadata"
        )


async def inject_folder(
    pipeline: Pipeline,
    data: str,
    folder: Path,
    *,
    encode: bool = False,
    follow_links: bool = False,
) -> list[str]:
    """Write each file of a folder into a repository, under its name without the extension.

    Hidden files are skipped; so are symbolic links, which are listed on standard error. All names
    are checked before anything is written.

    :param pipeline: an open pipeline.
    :param data: the repository, as ``task.link``.
    :param folder: the folder.
    :param encode: whether to convert all names to job ids with ``encode_job_id``, so that no two
        names result in the same job.
    :param follow_links: whether a symbolic link counts as the file that it leads to.
    :return: the jobs.
    :raises CommandLineError: if two files result in the same job.
    :raises InvalidJobIdError: if a file's name is not a valid job id.
    """
    from pydatatask_core.repository import encode_job_id

    repo = find_data(pipeline, data).repo
    files: dict[str, Path] = {}
    paths, links = await asyncio.to_thread(_files_in, folder, follow_links)
    if links:
        names = ", ".join(repr(path.name) for path in links[:_MAX_NAMES])
        more = f" and {len(links) - _MAX_NAMES} more" if len(links) > _MAX_NAMES else ""
        print_info(f"symbolic links were skipped: {names}{more}; --follow-links includes them")
    for path in paths:
        job = encode_job_id(path.stem) if encode else path.stem
        repo.check_job_id(job)
        if job in files:
            raise CommandLineError(f"{files[job]} and {path} result in the same job, {job!r}")
        files[job] = path
    for job, path in files.items():
        async with FileInput(path, follow_links=follow_links) as source:
            await put(repo, data, job, source)
    return list(files)


def _files_in(folder: Path, follow_links: bool) -> tuple[list[Path], list[Path]]:
    """Return the visible files of a folder, sorted, and the symbolic links that are skipped."""
    shown = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    links = [] if follow_links else [path for path in shown if path.is_symlink()]
    left_out = set(links)
    return [path for path in shown if path not in left_out and path.is_file()], links


@click.command(
    "inject",
    cls=Command,
    examples=(
        "inject count.texts book1 < book1.txt",
        "inject count.texts book1 --file book1.txt",
        "inject count.texts --from books/",
        "inject count.texts --from books/ --encode",
        "echo '{words: 3}' | inject count.results book1",
    ),
)
@click.option(
    "--file",
    "-f",
    type=click.Path(exists=True, dir_okay=False),
    help="Read this file instead of standard input.",
)
@click.option(
    "--from",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Write each file of this folder, under its name without the extension.",
)
@click.option(
    "--encode",
    is_flag=True,
    help="With --from: convert all names to job ids, as pydatatask.encode_job_id() does.",
)
@click.option(
    "--follow-links",
    is_flag=True,
    help="With --from: include the files that symbolic links lead to. By default they are skipped.",
)
@click.argument("data", shell_complete=complete_data)
@click.argument("job", required=False, shell_complete=complete_job)
@pass_app
def command(
    app: App,
    file: str | None,
    folder: Path | None,
    encode: bool,
    follow_links: bool,
    data: str,
    job: str | None,
) -> None:
    """Write a value into a repository.

    DATA is `TASK.LINK`. The value is read from standard input: a blob unchanged, whatever its
    size; metadata as YAML, which includes JSON. The value appears when it is complete: after an
    error or interruption, nothing is written.
    """
    check_outlives_process(find_data(app.pipeline, data).repo, data)
    if folder is not None:
        if job is not None or file is not None:
            raise click.UsageError("--from takes the jobs from the file names: omit JOB and --file")
        source = folder
        options = {"encode": encode, "follow_links": follow_links}
        done = app.run(
            lambda pipeline: inject_folder(pipeline, data, source, **options), data=[data]
        )
        print_info(
            f"{len(done)} {'value was' if len(done) == 1 else 'values were'} written into {data}"
        )
        return
    if encode or follow_links:
        option = "--encode" if encode else "--follow-links"
        raise click.UsageError(f"{option} requires --from FOLDER")
    if job is None:
        raise click.UsageError("add the name of the job, or --from FOLDER")
    name = job
    app.run(lambda pipeline: inject_data(pipeline, data, name, file=file), data=[data])
