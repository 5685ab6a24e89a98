"""``fuse``: mount the repositories as a file system."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pydatatask_cli.app import App, pass_app
from pydatatask_cli.byte_streams import run_abandonable
from pydatatask_cli.command import Command
from pydatatask_cli.errors import CommandLineError, ExitStatus
from pydatatask_cli.output import print_info

if TYPE_CHECKING:
    from pydatatask_core.pipeline import Pipeline

__all__ = ["command", "mount"]


def _import_library() -> Any:
    try:
        import mfusepy  # type: ignore[import-untyped]
    except ImportError as e:
        raise CommandLineError(
            "mounting needs mfusepy; install it with `pip install pydatatask[fuse]`"
        ) from e
    except OSError as e:
        raise CommandLineError(
            "mounting needs the library libfuse, which is not installed; install it, for example "
            "with `apt install libfuse3-3 fuse3`"
        ) from e
    return mfusepy


async def mount(pipeline: Pipeline, mountpoint: Path) -> None:
    """Mount the repositories as folders and files until unmounted or cancelled.

    :param pipeline: an open pipeline.
    :param mountpoint: an existing folder.
    :raises CommandLineError: if FUSE is not installed, or fails.
    """
    library = _import_library()
    mountpoint = await asyncio.to_thread(mountpoint.absolute)
    if not await asyncio.to_thread(mountpoint.is_dir):
        raise CommandLineError(f"{mountpoint} is not a folder; create it first")
    from pydatatask_cli.fuse_operations import RepositoryFiles

    files = RepositoryFiles(pipeline, asyncio.get_running_loop())

    def serve() -> None:
        library.FUSE(files, str(mountpoint), foreground=True, direct_io=True, fsname="pydatatask")

    serving = asyncio.ensure_future(run_abandonable(serve))
    try:
        await asyncio.shield(serving)
    except RuntimeError as e:
        raise CommandLineError(f"{mountpoint} could not be mounted; FUSE reported {e}") from e
    except asyncio.CancelledError:
        await asyncio.to_thread(_unmount, mountpoint)
        await serving
        raise


def _unmount(mountpoint: Path) -> None:
    for command_line in (["fusermount3", "-u", "-z"], ["fusermount", "-u", "-z"], ["umount", "-l"]):
        if shutil.which(command_line[0]) is not None:
            done = subprocess.run(
                [*command_line, str(mountpoint)], check=False, capture_output=True
            )
            if done.returncode == 0:
                return
    print_info(f"{mountpoint} could not be unmounted; run `umount {mountpoint}` as root")


async def _mount_until_signal(pipeline: Pipeline, mountpoint: Path) -> None:
    task = asyncio.current_task()
    terminated = asyncio.Event()

    def end() -> None:
        terminated.set()
        if task is not None:
            task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    try:
        await mount(pipeline, mountpoint)
    except asyncio.CancelledError:
        if not terminated.is_set():
            raise
        raise ExitStatus(128 + signal.SIGTERM) from None


@click.command("fuse", cls=Command, examples=("fuse mnt/",))
@click.argument("mountpoint", type=click.Path(path_type=Path))
@pass_app
def command(app: App, mountpoint: Path) -> None:
    """Mount the repositories as a file system.

    Each task is a folder of links, each link is a folder of jobs, and each job is a file: a blob
    unchanged, metadata as YAML. Files can be read, written and deleted; a written file appears in
    the repository when it is closed. The command runs until the file system is unmounted (umount,
    fusermount3 -u), or until Ctrl-C.

    It needs the extra: pip install pydatatask[fuse], and the library libfuse.
    """
    _import_library()
    app.run(lambda pipeline: _mount_until_signal(pipeline, mountpoint))
